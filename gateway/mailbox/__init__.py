"""Speaks IMAP: yields mail, and files it when what follows from it is committed."""

from gateway.mailbox.copies import Copies
from gateway.mailbox.link import ImapSettings
from gateway.mailbox.release import Wanted
from gateway.mailbox.watch import Arrival, Filing, Mailbox, retry_delay

__all__ = ["Arrival", "Copies", "Filing", "ImapSettings", "Mailbox", "Wanted", "retry_delay"]
