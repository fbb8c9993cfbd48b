"""Say times to people exactly: a moment with its zone, and a period that is never rounded up."""

from datetime import datetime, timedelta, tzinfo

_MINUTE = timedelta(minutes=1)


def moment(when: datetime, zone: tzinfo) -> str:
    """Word a moment for a reader in `zone`: `Tuesday 3 March 2026, 17:40 CET (UTC+01:00)`."""
    local = when.astimezone(zone)
    return f"{local:%A} {local.day} {local:%B %Y, %H:%M} {_zone(local)}"


def period(length: timedelta) -> str:
    """Word a period down to its full minutes: `3 hours 40 minutes`, never `4 hours`."""
    if length < _MINUTE:
        return "less than a minute"
    hours, minutes = divmod(length // _MINUTE, 60)
    days, hours = divmod(hours, 24)
    counted = ((days, "day"), (hours, "hour"), (minutes, "minute"))
    return " ".join(f"{count} {unit}{'s' if count > 1 else ''}" for count, unit in counted if count)


def _zone(local: datetime) -> str:
    name, offset = local.tzname() or "", f"UTC{local.isoformat()[-6:]}"
    if name == "UTC":
        return name
    # Zones without an abbreviation of their own call themselves "+03".
    return f"{name} ({offset})" if name.isalpha() else offset
