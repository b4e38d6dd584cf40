# SPDX-License-Identifier: Apache-2.0
def page_lines(name, survey, overview, whole=False):
    yield ""
