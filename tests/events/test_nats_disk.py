from pathlib import Path

from tocsin_events.nats_disk import Disk, DiskWatch

FAILED = "[1] [ERR] JetStream stream 'TOCSIN > EVENTS' critical write error: write 1.blk: no space left on device\n"


def test_a_stream_that_stopped_is_seen_in_what_is_new_in_the_log(tmp_path: Path) -> None:
    log = tmp_path / "nats.log"
    log.write_text(FAILED)
    watch = DiskWatch(log, tmp_path)
    assert watch.look() is Disk.FINE
    with log.open("a") as more:
        more.write("[1] [INF] Server is ready\n")
    assert watch.look() is Disk.FINE
    with log.open("a") as more:
        more.write(FAILED)
    assert watch.look() is Disk.ROOM_AGAIN
    assert watch.look() is Disk.ROOM_AGAIN


def test_a_log_that_began_anew_is_read_from_its_beginning(tmp_path: Path) -> None:
    log = tmp_path / "nats.log"
    log.write_text("x" * 1000)
    watch = DiskWatch(log, tmp_path)
    log.write_text(FAILED)
    assert watch.look() is Disk.ROOM_AGAIN


def test_a_log_that_is_not_there_says_nothing(tmp_path: Path) -> None:
    assert DiskWatch(tmp_path / "nats.log", tmp_path).look() is Disk.FINE
