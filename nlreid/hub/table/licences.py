"""Licences: SPDX identifiers, and what the Hub calls them in the front matter of a model card.

Source: the table of the Hub's documentation, "Licenses" (huggingface.co/docs/hub/repositories-licenses).
"""

from __future__ import annotations

from nlreid.errors import InputError, unknown_name

_AS_ON_THE_HUB = """
    AFL-3.0 AGPL-3.0-only AGPL-3.0-or-later Apache-2.0 Artistic-2.0 BSD-2-Clause BSD-3-Clause BSD-3-Clause-Clear BSL-1.0
    C-UDA-1.0 CC-BY-2.0 CC-BY-2.5 CC-BY-3.0 CC-BY-4.0 CC-BY-NC-2.0 CC-BY-NC-3.0 CC-BY-NC-4.0 CC-BY-NC-ND-3.0 CC-BY-NC-ND-4.0
    CC-BY-NC-SA-2.0 CC-BY-NC-SA-3.0 CC-BY-NC-SA-4.0 CC-BY-ND-4.0 CC-BY-SA-3.0 CC-BY-SA-4.0 CC0-1.0 CDLA-Permissive-1.0
    CDLA-Permissive-2.0 CDLA-Sharing-1.0 ECL-2.0 EPL-1.0 EPL-2.0 etalab-2.0 EUPL-1.1 GPL-2.0-only GPL-2.0-or-later GPL-3.0-only
    GPL-3.0-or-later ISC LGPL-2.1-only LGPL-2.1-or-later LGPL-3.0-only LGPL-3.0-or-later LPPL-1.3c MIT MPL-2.0 MS-PL NCSA
    ODbL-1.0 ODC-By-1.0 OFL-1.1 OSL-3.0 PDDL-1.0 PostgreSQL Unlicense WTFPL Zlib
"""
_FAMILIES = {"C-UDA-1.0": "c-uda", "ODbL-1.0": "odbl", "ODC-By-1.0": "odc-by", "PDDL-1.0": "pddl"}  # there without a version

HUB_LICENCES: dict[str, str] = {
    spdx: _FAMILIES.get(spdx) or spdx.lower().removesuffix("-only").removesuffix("-or-later") for spdx in _AS_ON_THE_HUB.split()
}


def spdx_licence(licence: object) -> str:
    """The SPDX identifier of a licence that the Hub knows, in its usual spelling.

    >>> spdx_licence("apache-2.0")
    'Apache-2.0'

    Raises:
        InputError: If it is missing.
        UnknownNameError: If it is none of them; it gives the nearest.
    """
    if not isinstance(licence, str) or not licence.strip():
        raise InputError(
            f"licence is the SPDX identifier of the licence that the weights come under, as in 'Apache-2.0'; got {licence!r}; "
            "there is no default: weights without a licence may be used by nobody"
        )
    spelling = {known.lower(): known for known in HUB_LICENCES}
    if licence.strip().lower() not in spelling:
        hint = "Allowed: those of the Hub by SPDX identifier, and any other together with licence_name and licence_link."
        raise unknown_name("licence", licence, HUB_LICENCES, hint)
    return spelling[licence.strip().lower()]
