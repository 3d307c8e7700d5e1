"""What a spec may not exceed, so that no text costs more than its size deserves.

The size of the file itself is limited in `netdef.source`.
"""

from __future__ import annotations

#: levels of mappings and lists, those inside an alias included; a net needs about eight
DEPTH = 200
#: mappings, lists and single values, those inside an alias counted as often as it is used
NODES = 1_000_000
#: characters of one key or value
TEXT = 2**20
#: characters that all variables together write into texts
INTERPOLATED = 2**24
#: decimal digits of a whole number
DIGITS = 4_000
#: characters of one `${...}`
EXPRESSION = 1_000
#: parentheses and signs around one value of a `${...}`, and parts of the path of a `--set`
NESTING = 50
