#!/usr/bin/env python3
"""Writes the event vocabulary from the tables in data/.

    generate-vocabulary.py            writes the generated files
    generate-vocabulary.py --check    writes nothing; shows a diff and exits 1 when a generated file is stale

Reads   data/event-codes.csv    what each code of SIA DC-03 and Contact ID (SIA DC-05) means
        data/nearest-codes.csv  this project's choice in the other scheme, where that table has none
        data/kinds.csv          the plain words of the configuration
Writes  SIACodeTable.swift, ContactIDCodeTable.swift and KindTable.swift in Sources/Protocol/Event, and docs/events.md

A row that is incomplete, unknown or contradicts another is refused: the tables are checked here, so that the program
need not check them when it starts.
"""

import csv
import difflib
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CODES, NEAREST, KINDS = (ROOT / "data" / name for name in ("event-codes.csv", "nearest-codes.csv", "kinds.csv"))
EVENT = ROOT / "Sources" / "Protocol" / "Event"

SCHEMES = {"SIA": "SIA DC-03", "CID": "Contact ID"}
NOT_EVENTS = {"SIA-BLOCK", "SIA-ENV", "SIA-MODIFIER", "CID-QUALIFIER"}
URGENCIES = ["fire", "danger", "intrusion", "technical", "trouble", "status"]
ADDRESSES = ["zone", "user", "none"]

CATEGORIES = {
    "SIA": {
        "access", "audio", "communication", "emergency", "equipment", "fire", "freeze", "gas", "heat", "hold-up",
        "intrusion", "medical", "monitoring", "open-close", "panic", "peripheral", "power", "printer", "programming",
        "radio", "receiver", "sprinkler", "system", "tamper", "test", "untyped", "video", "water",
    },
    "CID": {
        "24-hour non-intrusion", "access control", "bypass", "communication disable", "communication trouble",
        "derived channel", "event log", "fire", "fire supervisory", "general alarm", "intrusion", "legacy", "medical",
        "misc", "open/close", "other", "panic", "peripheral disable", "peripheral trouble", "personnel monitoring",
        "protection loop trouble", "remote access", "remote configuration", "scheduling", "sensor trouble",
        "sounder/relay disable", "sounder/relay trouble", "system disable", "system trouble", "test/misc",
        "user assigned",
    },
}

# Which urgency an alarm has, by the category of its code. Heat and untyped alarms may be a fire and a burglary: what is
# not known to be harmless is not ranked as if it were.
ALARM = {
    "SIA": {
        "fire": "fire", "sprinkler": "fire", "heat": "fire",
        "hold-up": "danger", "panic": "danger", "medical": "danger", "emergency": "danger", "gas": "danger",
        "intrusion": "intrusion", "tamper": "intrusion", "access": "intrusion", "untyped": "intrusion",
        "open-close": "intrusion", "system": "intrusion",
        "water": "technical", "freeze": "technical",
    },
    "CID": {
        "fire": "fire", "panic": "danger", "medical": "danger", "intrusion": "intrusion", "general alarm": "intrusion",
    },
}

# A detector close to its threshold: somebody may still come before the alarm.
WARNING = {"fire": "technical", "panic": "danger", "intrusion": "intrusion"}

# Every other sort of code has one urgency, whatever its category. A bypass keeps an alarm from being seen: trouble.
SORT = {
    "SIA": {
        "access": "status", "bypass": "trouble", "cancel": "status", "close": "status", "exception": "trouble",
        "info": "status", "open": "status", "restore": "status", "supervisory": "trouble", "tamper": "intrusion",
        "test": "status", "trouble": "trouble", "unbypass": "status",
    },
    "CID": {
        "access": "status", "bypass": "trouble", "communication": "trouble", "disable": "trouble", "fire": "status",
        "info": "status", "legacy": "technical", "log": "status", "monitoring": "status", "open-close": "status",
        "receiver": "trouble", "remote": "status", "reserved": "status", "supervisory": "trouble",
        "tamper": "intrusion", "technical": "technical", "test": "status", "trouble": "trouble",
        "user-assigned": "technical",  # by agreement between two parties: may well be an alarm
        "vendor": "technical",
    },
}

# Codes that the rules above would place wrongly.
EXCEPTIONS = {
    ("SIA", "CE"): "status",     # closing time extended: a choice, not a failure
    ("SIA", "CR"): "status",     # says only that the arming was recent
    ("SIA", "EE"): "status",     # a user's mistake on the way out
    ("SIA", "IA"): "technical",  # equipment on the site, not of the alarm system
    ("SIA", "JK"): "danger",     # a watched person did not come
    ("SIA", "NA"): "danger",     # a watched person is still
    ("SIA", "RL"): "trouble",    # its maker uses it for a disabled reader
    ("SIA", "TT"): "intrusion",  # tamper, though listed as trouble
    ("SIA", "ZZ"): "trouble",    # switched off
    ("SIA", "YW"): "trouble",    # the watchdog does not bite a healthy processor
    ("CID", "109"): "intrusion",  # tamper
    ("CID", "151"): "danger",    # gas
    ("CID", "162"): "danger",    # carbon monoxide
    ("CID", "155"): "intrusion",  # window foil
    ("CID", "156"): "trouble",   # a day-trouble zone, disarmed
    ("CID", "220"): "intrusion",  # its maker pairs it with BA
    ("CID", "305"): "status",    # started again
    ("CID", "306"): "status",    # configuration edited
    ("CID", "313"): "status",    # reset by a service engineer
    ("CID", "316"): "intrusion",  # tamper
    ("CID", "317"): "intrusion",  # tamper
    ("CID", "341"): "intrusion",  # tamper
    ("CID", "359"): "trouble",   # a path
    ("CID", "360"): "trouble",   # a path
    ("CID", "374"): "intrusion",  # an alarm, though listed as trouble
    ("CID", "378"): "intrusion",  # an unverified alarm
    ("CID", "383"): "intrusion",  # tamper
    ("CID", "413"): "trouble",   # somebody tried
    ("CID", "414"): "trouble",   # told to shut down
    ("CID", "415"): "trouble",   # told to stop sending
    ("CID", "423"): "intrusion",  # door forced
    ("CID", "426"): "intrusion",  # door held
    ("CID", "427"): "trouble",   # door contact
    ("CID", "428"): "trouble",   # exit request input
    ("CID", "432"): "trouble",   # access output
    ("CID", "433"): "trouble",   # shunted
    ("CID", "434"): "trouble",   # shunted
    ("CID", "453"): "trouble",   # not disarmed in time
    ("CID", "454"): "trouble",   # not armed in time: an unguarded building
    ("CID", "455"): "trouble",   # not armed in time
    ("CID", "461"): "intrusion",  # wrong code
    ("CID", "470"): "trouble",   # bypass
    ("CID", "471"): "trouble",   # bypass
    ("CID", "473"): "trouble",   # bypass
    ("CID", "480"): "status",    # partial closing
    ("CID", "616"): "trouble",   # service requested
    ("CID", "624"): "trouble",   # log overflow: something is lost
    ("CID", "626"): "trouble",   # the clock is wrong
    ("CID", "641"): "danger",    # a watched person is still
    ("CID", "646"): "danger",    # more help needed
    ("CID", "654"): "trouble",   # nobody arms any more
    ("CID", "704"): "status",    # a test
    ("CID", "800"): "status",    # a log entry
    ("CID", "900"): "trouble",   # download aborted
    ("CID", "902"): "trouble",   # download broke off
    ("CID", "904"): "trouble",   # firmware update failed
    ("CID", "911"): "trouble",   # bypass
    ("CID", "910"): "trouble",   # bypass
    ("CID", "999"): "trouble",   # nobody reads the log
}


def refuse(place, problem):
    sys.exit(f"generate-vocabulary: {place}: {problem}")


def read(path, columns):
    """Rows of a table as dictionaries, each with its line for messages."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        if reader.fieldnames != columns:
            refuse(path.name, f"columns are {reader.fieldnames}, expected {columns}")
        rows = []
        for row in reader:
            row["place"] = f"{path.name} line {reader.line_num}"
            if None in row or None in row.values():
                refuse(row["place"], f"expected {len(columns)} fields")
            if any(value != value.strip() for value in row.values()):
                refuse(row["place"], "a field begins or ends with a space")
            rows.append(row)
        return rows


def urgency(row):
    scheme, category, kind = row["scheme"], row["category"], row["kind"]
    if category not in CATEGORIES[scheme]:
        refuse(row["place"], f"category '{category}' is unknown; expected one of {sorted(CATEGORIES[scheme])}")
    if (scheme, row["code"]) in EXCEPTIONS:
        return EXCEPTIONS[scheme, row["code"]]
    if kind == "alarm":
        found = ALARM[scheme].get(category)
    elif kind == "warning":
        found = WARNING.get(category)
    else:
        found = SORT[scheme].get(kind)
    return found or refuse(row["place"], f"no urgency is known for kind '{kind}' in category '{category}'")


def load():
    """Codes of both schemes, the rows that are not event codes, and kinds: all checked."""
    rows = read(CODES, ["scheme", "code", "meaning", "category", "kind", "address_is", "restore_or_pair", "cancel",
                        "cross_new", "cross_restore", "cross_basis", "status"])
    codes = [row for row in rows if row["scheme"] in SCHEMES]
    others = [row for row in rows if row["scheme"] not in SCHEMES]
    for row in others:
        if row["scheme"] not in NOT_EVENTS:
            refuse(row["place"], f"scheme '{row['scheme']}' is unknown; expected {[*SCHEMES, *sorted(NOT_EVENTS)]}")
    known = {}
    for row in codes:
        if not re.fullmatch({"SIA": "[A-Z]{2}", "CID": "[0-9B-F]{3}"}[row["scheme"]], row["code"]):
            refuse(row["place"], f"'{row['code']}' is not a code of {SCHEMES[row['scheme']]}")
        if known.setdefault((row["scheme"], row["code"]), row) is not row:
            refuse(row["place"], f"{row['code']} is there twice")

    nearest = {(row["scheme"], row["code"]): row for row in read(NEAREST, ["scheme", "code", "new", "restore"])}
    for row in codes:
        own = nearest.pop((row["scheme"], row["code"]), None)
        if bool(own) == bool(row["cross_new"]):
            refuse(row["place"], f"expected one equivalent in the other scheme: here or in {NEAREST.name}")
        row["nearest"] = own is not None
        row["new"], row["restore"] = (own["new"], own["restore"]) if own else (row["cross_new"], row["cross_restore"])
        row["urgency"] = urgency(row)
        other = "CID" if row["scheme"] == "SIA" else "SIA"
        for value in [row["new"], row["restore"]] if other == "SIA" else [row["new"]]:
            if (other, value if other == "SIA" else value[1:]) not in known or other == "CID" and value[0] not in "13":
                refuse(row["place"], f"'{value}' is no code of {SCHEMES[other]}")
    for scheme, code in list(nearest) + [key for key in EXCEPTIONS if key not in known]:
        refuse(NEAREST.name, f"{scheme} {code} is not in {CODES.name}")

    kinds = read(KINDS, ["name", "swedish", "english", "sia", "sia_restore", "contact_id", "contact_id_restore",
                         "urgency", "address", "chosen_here"])
    names = set()
    for row in kinds:
        place = row["place"]
        if not re.fullmatch("[a-z]+(-[a-z]+)*", row["name"]) or row["name"] in names:
            refuse(place, f"'{row['name']}' is not a new name of lower-case words joined by dashes")
        names.add(row["name"])
        if not row["swedish"] or not row["english"]:
            refuse(place, "expected a Swedish and an English name")
        if row["urgency"] not in URGENCIES or row["address"] not in ADDRESSES:
            refuse(place, f"expected an urgency of {URGENCIES} and an address of {ADDRESSES}")
        if bool(row["sia_restore"]) != bool(row["contact_id_restore"]):
            refuse(place, "expected a restore in both schemes or in neither")
        for sia, cid in [("sia", "contact_id")] + [("sia_restore", "contact_id_restore")] * bool(row["sia_restore"]):
            if ("SIA", row[sia]) not in known:
                refuse(place, f"'{row[sia]}' is no code of SIA DC-03")
            if not re.fullmatch("[13].{3}", row[cid]) or ("CID", row[cid][1:]) not in known:
                refuse(place, f"'{row[cid]}' is no qualifier (1 or 3) and code of Contact ID")
    return codes, others, kinds


def string(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def optional(text):
    return string(text) if text else "nil"


HEADER = "// Generated by scripts/generate-vocabulary.py from data/. Do not edit.\n// swift-format-ignore-file\n\n"


CODE_TABLE = """\
/// The codes of {scheme}, sorted, as `Code.init(_:row:)` reads them. Text, because the optimiser takes most of a minute
/// over so many initialisers.
enum {name} {{
    static let rows: [String] = [
"""


def code_table(codes, scheme, title, name):
    out = [HEADER + CODE_TABLE.format(scheme=title, name=name)]
    for row in sorted((row for row in codes if row["scheme"] == scheme), key=lambda row: row["code"]):
        pairs = row["restore_or_pair"]
        if scheme == "CID" and pairs:
            qualified, _, meaning = pairs.partition(": ")
            if qualified != "3" + row["code"] or not meaning:
                refuse(row["place"], f"expected '3{row['code']}: what it means', found '{pairs}'")
            pairs = "" if meaning == "usually not sent" else meaning
        fields = [row["code"], row["meaning"], row["category"], row["kind"], row["address_is"], pairs,
                  row["cancel"], row["new"], row["restore"], "nearest" if row["nearest"] else "",
                  str(URGENCIES.index(row["urgency"])), row["status"]]
        if any("|" in field for field in fields):
            refuse(row["place"], "a field has a bar, which separates the fields of the generated table")
        out.append(f"        {string('|'.join(fields))},\n")
    return "".join(out) + "    ]\n}\n"


QUALIFIERS = {"1": ".event", "3": ".restore"}


def kind_table(kinds):
    out = [HEADER + "/// The kinds, sorted by name.\nenum KindTable {\n    static let all: [EventKind] = [\n"]
    for row in sorted(kinds, key=lambda row: row["name"]):
        restore = row["contact_id_restore"]
        out.append(
            f"        EventKind({string(row['name'])}, {string(row['swedish'])}, {string(row['english'])}, "
            f"{string(row['sia'])}, {optional(row['sia_restore'])}, {string(row['contact_id'][1:])}, "
            f"{QUALIFIERS[row['contact_id'][0]]}, {optional(restore[1:])}, "
            f"{QUALIFIERS[restore[0]] if restore else 'nil'}, .{row['urgency']}, .{row['address']}),\n")
    return "".join(out) + "    ]\n}\n"


def table(heads, rows):
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") or "–" for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


INTRODUCTION = """\
# Events

The document of record for what Larmnod can say: the kinds that a configuration may name, and every code of the two
schemes an alarm centre understands, with its place among the urgencies. It is generated from `data/` by
`scripts/generate-vocabulary.py`; change the tables there, never this page.

## How to read it

- **SIA** is the two-letter code of SIA DC-03. It says by itself whether something began or ended.
- **Contact ID** is the three-digit event of SIA DC-05 after its qualifier: 1 it began, 3 it ended, 6 it is still so.
  For opening and closing, 1 is disarmed and 3 is armed: `1401` disarmed, `3401` armed.
- **Urgency** decides who goes first when events wait:
  {urgencies}. A restore is always status.
- **Address** is what the number sent beside the code means: a zone, a user, or nothing.

An untyped SIA alarm (`UA`) and a heat alarm (`KA`) may be a burglary and a fire, so the codes rank as such when they
come from a panel; a kind of this box that uses them knows better and has an urgency of its own.

A well-formed code that is in neither table below is passed on as it came. In the other scheme, and for its urgency, it
counts as its family's plain alarm: by the first letter for SIA (`HV` as `HA`; a letter that is no zone type as `UX`,
an alarm that is not defined), by the first digits for Contact ID (`119` as `110`, `39B` as `300`).

Where the tables give a Contact ID event the same SIA code with either qualifier, the restore is sent as that code's
own restore, or as `UR`: what ended is never told as begun.

## Kinds

A point of the configuration names one of these. *Chosen here* says where the trade has no code for it and why this
one was taken.
"""


def document(codes, others, kinds):
    numbered = ", ".join(f"{number} {name}" for number, name in enumerate(URGENCIES))
    out = [INTRODUCTION.format(urgencies=numbered), "\n"]
    out.append(table(
        ["kind", "svenska", "English", "SIA", "restore", "Contact ID", "restore", "urgency", "address", "chosen here"],
        [[f"`{row['name']}`", row["swedish"], row["english"], row["sia"], row["sia_restore"], row["contact_id"],
          row["contact_id_restore"], row["urgency"], row["address"], row["chosen_here"]] for row in kinds]))
    for scheme, title in SCHEMES.items():
        other = "Contact ID" if scheme == "SIA" else "SIA, new and restore"
        pair = "restores, restored by or paired with" if scheme == "SIA" else "with qualifier 3"
        out.append(f"\n## Codes of {title}\n")
        mine = [row for row in codes if row["scheme"] == scheme]
        for category in dict.fromkeys(row["category"] for row in mine):
            out.append(f"\n### {title}: {category}\n\n")
            out.append(table(
                ["code", "meaning", "sort", "urgency", "address", pair, "cancelled by", other, "basis", "status"],
                [[row["code"], row["meaning"], row["kind"], row["urgency"], row["address_is"], row["restore_or_pair"],
                  row["cancel"], row["new"] + (" / " + row["restore"] if row["restore"] else ""),
                  "nearest, chosen here" if row["nearest"] else row["cross_basis"], row["status"]]
                 for row in mine if row["category"] == category]))
    out.append("\n## Not event codes\n\nOther letters and digits of the two schemes that stand near an event code.\n\n")
    out.append(table(["where", "code", "meaning", "category", "sort", "address"],
                     [[row["scheme"], f"`{row['code']}`", row["meaning"], row["category"], row["kind"],
                       row["address_is"]] for row in others]))
    return "".join(out)


def main():
    if sys.argv[1:] not in ([], ["--check"]):
        sys.exit(__doc__)
    codes, others, kinds = load()
    stale = False
    for path, text in (
        (EVENT / "SIACodeTable.swift", code_table(codes, "SIA", "SIA DC-03", "SIACodeTable")),
        (EVENT / "ContactIDCodeTable.swift", code_table(codes, "CID", "SIA DC-05", "ContactIDCodeTable")),
        (EVENT / "KindTable.swift", kind_table(kinds)),
        (ROOT / "docs" / "events.md", document(codes, others, kinds)),
    ):
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        if old == text:
            continue
        stale = True
        name = str(path.relative_to(ROOT))
        if "--check" in sys.argv:
            sys.stdout.writelines(difflib.unified_diff(
                old.splitlines(True), text.splitlines(True), name, name + " (as generated)", n=0))
        else:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {name}")
    if stale and "--check" in sys.argv:
        sys.exit("generate-vocabulary: the files above are stale; run scripts/generate-vocabulary.py")


if __name__ == "__main__":
    main()
