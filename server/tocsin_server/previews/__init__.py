"""How a message would look in Slack, Teams and a mailbox, drawn in the terminal.

Each preview is drawn from the very payload that the service would be sent, so it can show nothing that is not in there.
"""
