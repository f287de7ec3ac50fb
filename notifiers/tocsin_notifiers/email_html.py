"""A message as the HTML of an email: tables and inline styles, as mail programs need them; no script, no foreign picture."""

from html import escape
from typing import Final

from tocsin_notifiers.markdown import Block, Span, join, parse
from tocsin_notifiers.message import Link, Message
from tocsin_notifiers.run_picture import HEIGHT, WIDTH
from tocsin_notifiers.slack_blocks import colour_of

PICTURE: Final = "last-runs"
"""How the page refers to the picture: by the Content-ID of the mail's other part, before its ``@``."""
_FONT = "font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;"
_CODE = "font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:13px;"
_PAGE = (
    '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width,initial-scale=1">'
    '<meta name="color-scheme" content="light"><title>{title}</title></head>\n'
    '<body style="margin:0;padding:0;background:#f3f4f6">\n'
    '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" style="background:#f3f4f6"><tr>'
    '<td align="center" style="padding:24px 12px">\n'
    '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" style="max-width:600px;background:#ffffff;'
    'border:1px solid #e2e5ea;border-radius:8px;border-collapse:separate;overflow:hidden">\n'
    '<tr><td style="height:6px;line-height:6px;font-size:0;background:{colour}">&nbsp;</td></tr>\n'
    '<tr><td style="padding:24px 28px 8px 28px;' + _FONT + '">\n'
    '<div style="font-size:12px;font-weight:600;letter-spacing:.04em;text-transform:uppercase;color:{colour}">{label}</div>\n'
    '<h1 style="margin:6px 0 14px 0;font-size:21px;line-height:1.3;color:#14171c;overflow-wrap:anywhere">{title}</h1>\n'
    "{body}\n{fields}\n{picture}\n{links}\n</td></tr>\n"
    '<tr><td style="padding:14px 28px 20px 28px;border-top:1px solid #eceef1;font-size:12px;line-height:1.5;color:#6b7280;'
    + _FONT
    + '">{footer}</td></tr>\n</table></td></tr></table>\n</body></html>\n'
)


def html(message: Message, *, domain: str) -> str:
    """Return a whole HTML page; whatever a stranger wrote is text in it.

    ``domain`` is that of the mail's ids; the picture, where the message has one, is the part ``last-runs@domain``.
    """
    label = message.standing if message.status != "firing" else message.severity
    footer = "Sent by Tocsin"
    if message.automation:
        footer += f" because of the automation <b>{escape(message.automation)}</b>"
    return _PAGE.format(
        title=escape(message.title),
        colour=colour_of(message),
        label=escape(label),
        body=_body(parse(message.body)),
        fields=_fields(message),
        picture=_picture(message, domain),
        links=_links(message),
        footer=footer + ".",
    )


def _body(blocks: tuple[Block, ...]) -> str:
    return join((block, _block(block)) for block in blocks)


def _block(block: Block) -> str:
    if block.kind == "rule":
        return '<hr style="border:0;border-top:1px solid #e2e5ea;margin:14px 0">'
    if block.kind == "code":
        return (
            f'<pre style="margin:0 0 14px 0;padding:12px 14px;background:#f6f7f9;border:1px solid #e2e5ea;border-radius:6px;'
            f'white-space:pre-wrap;overflow-wrap:anywhere;line-height:1.45;color:#14171c;{_CODE}">{escape(block.text)}</pre>'
        )
    text = "".join(_span(span) for span in block.spans)
    style = "margin:0 0 14px 0;font-size:15px;line-height:1.5;color:#2b3038;overflow-wrap:anywhere;"
    if block.kind == "heading":
        style += "font-weight:600;color:#14171c;"
    elif block.kind == "quote":
        style += "border-left:3px solid #d5d9e0;padding-left:12px;color:#555c68;"
    elif block.kind == "item":
        style += f"margin:0 0 4px 0;padding-left:{20 * block.depth}px;text-indent:-14px;"
        text = f"{escape(block.mark)}&nbsp;{text}" if block.mark else text
    return f'<p style="{style}">{text}</p>'


def _span(span: Span) -> str:
    text = escape(span.text).replace("\n", "<br>\n")
    if span.code:
        text = f'<code style="background:#f0f1f4;border-radius:3px;padding:1px 4px;{_CODE}">{text}</code>'
    for wanted, tag in ((span.strong, "b"), (span.emphasis, "i"), (span.struck, "s")):
        if wanted:
            text = f"<{tag}>{text}</{tag}>"
    return f'<a href="{escape(span.url)}" style="color:#1d5fbf">{text}</a>' if span.url else text


def _fields(message: Message) -> str:
    if not message.fields:
        return ""
    rows = "\n".join(
        f'<tr><td style="padding:5px 16px 5px 0;color:#6b7280;white-space:nowrap;vertical-align:top">{escape(fact.name)}</td>'
        f'<td style="padding:5px 0;color:#14171c;overflow-wrap:anywhere" width="100%">{escape(fact.value)}</td></tr>'
        for fact in message.fields
    )
    return (
        '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" '
        f'style="margin:2px 0 18px 0;font-size:14px;line-height:1.4;{_FONT}">\n{rows}\n</table>'
    )


def _picture(message: Message, domain: str) -> str:
    if message.image is None:
        return ""
    alt = escape(message.image.alt)
    return (
        f'<img src="cid:{PICTURE}@{escape(domain)}" alt="{alt}" width="{WIDTH}" height="{HEIGHT}" '
        'style="display:block;width:100%;max-width:540px;height:auto;margin:4px 0 6px 0;border:0">'
        f'<div aria-hidden="true" style="margin:0 0 18px 0;font-size:12px;line-height:1.4;color:#6b7280;{_FONT}">{alt}</div>'
    )


def _links(message: Message) -> str:
    if not message.links:
        return ""
    first, *others = message.links
    buttons = [_button(first, "background:#1f2937;border:1px solid #1f2937;color:#ffffff;font-weight:600")]
    buttons += [_button(link, "border:1px solid #c9ced6;color:#1f2937") for link in others]
    return f'<div style="margin:4px 0 10px 0;font-size:14px;{_FONT}">{"".join(buttons)}</div>'


def _button(link: Link, style: str) -> str:
    return (
        f'<a href="{escape(link.url)}" style="display:inline-block;margin:0 8px 10px 0;padding:8px 15px;border-radius:6px;'
        f'text-decoration:none;{style}">{escape(link.label)}</a>'
    )
