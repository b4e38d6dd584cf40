// SPDX-License-Identifier: Apache-2.0
// windows.h without its macros min and max, which break std::min in all that is included behind it.
#pragma once

#if defined(_WIN32)
#ifndef NOMINMAX
#define NOMINMAX
#endif
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <windows.h>
#endif
