"""Write the letters: an approval and what there is to say about it become one `EmailMessage`.

Every word comes from a template, every value passes `core.visible`, and nothing from an agent is ever
more than a value. Text and HTML are made from the same sentences.
"""

from gateway.letters.contents import CHANNELS, Edited, edited, standing
from gateway.letters.stationery import Audience, Letterhead, Posting, Recipient, Row
from gateway.letters.templates import environment, packaged_templates
from gateway.letters.wire import octets
from gateway.letters.writer import Letters, wording

__all__ = [
    "CHANNELS",
    "Audience",
    "Edited",
    "Letterhead",
    "Letters",
    "Posting",
    "Recipient",
    "Row",
    "edited",
    "environment",
    "octets",
    "packaged_templates",
    "standing",
    "wording",
]
