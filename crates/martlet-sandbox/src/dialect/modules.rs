//! Which modules there are: the interpreter's own, those of the prelude, and what the prelude adds to the former.

/// The interpreter's own modules.
const NATIVE: &[&str] = &[
    "__future__",
    "asyncio",
    "base64",
    "binascii",
    "bisect",
    "collections",
    "copy",
    "csv",
    "dataclasses",
    "datetime",
    "decimal",
    "functools",
    "hashlib",
    "itertools",
    "json",
    "math",
    "os",
    "os.path",
    "pathlib",
    "posixpath",
    "random",
    "re",
    "sys",
    "time",
    "tomllib",
    "typing",
    "unicodedata",
];

/// The prelude's modules: the name, the piece, the object.
const PRELUDE: &[(&str, &str, &str)] = &[
    ("abc", "abc", "_mt_mod_abc"),
    ("array", "array", "_mt_mod_array"),
    ("calendar", "calendar", "_mt_mod_calendar"),
    ("cmath", "cmath", "_mt_mod_cmath"),
    ("collections.abc", "collections_abc", "_mt_mod_collections_abc"),
    ("concurrent", "concurrent", "_mt_mod_concurrent"),
    ("concurrent.futures", "concurrent", "_mt_mod_concurrent.futures"),
    ("contextlib", "contextlib", "_mt_mod_contextlib"),
    ("difflib", "difflib", "_mt_mod_difflib"),
    ("enum", "enum", "_mt_mod_enum"),
    ("fractions", "fractions", "_mt_mod_fractions"),
    ("heapq", "heapq", "_mt_mod_heapq"),
    ("html", "html", "_mt_mod_html"),
    ("io", "io", "_mt_mod_io"),
    ("logging", "logging", "_mt_mod_logging"),
    ("numbers", "numbers", "_mt_mod_numbers"),
    ("operator", "operator", "_mt_mod_operator"),
    ("pprint", "pprint", "_mt_mod_pprint"),
    ("queue", "queue", "_mt_mod_queue"),
    ("secrets", "secrets", "_mt_mod_secrets"),
    ("stat", "stat", "_mt_mod_stat"),
    ("statistics", "statistics", "_mt_mod_statistics"),
    ("string", "string", "_mt_mod_string"),
    ("textwrap", "textwrap", "_mt_mod_textwrap"),
    ("traceback", "traceback", "_mt_mod_traceback"),
    ("types", "types", "_mt_mod_types"),
    ("urllib", "urllib", "_mt_mod_urllib"),
    ("urllib.parse", "urllib", "_mt_mod_urllib.parse"),
    ("uuid", "uuid", "_mt_mod_uuid"),
    ("warnings", "warnings", "_mt_mod_warnings"),
    ("zlib", "zlib", "_mt_mod_zlib"),
    ("zoneinfo", "zoneinfo", "_mt_mod_zoneinfo"),
];

/// What the prelude adds to the interpreter's modules: the module, the piece, the object, the names.
const ADDED: &[(&str, &str, &str, &[&str])] = &[
    (
        "asyncio",
        "asyncio",
        "_mt_mod_asyncio",
        &[
            "create_task",
            "ensure_future",
            "wait_for",
            "shield",
            "as_completed",
            "wait",
            "to_thread",
            "Semaphore",
            "BoundedSemaphore",
            "Lock",
            "Event",
            "Queue",
            "timeout",
            "get_event_loop",
            "get_running_loop",
            "new_event_loop",
            "iscoroutinefunction",
            "iscoroutine",
            "FIRST_COMPLETED",
            "ALL_COMPLETED",
            "TimeoutError",
            "CancelledError",
        ],
    ),
    (
        "collections",
        "collections",
        "_mt_mod_collections",
        &["OrderedDict", "ChainMap", "UserDict", "UserList"],
    ),
    ("dataclasses", "dataclasses", "_mt_mod_dataclasses", &["asdict", "astuple", "replace", "fields"]),
    ("datetime", "datetime", "_mt_mod_datetime", &["UTC"]),
    (
        "functools",
        "functools",
        "_mt_mod_functools",
        &["wraps", "update_wrapper", "cmp_to_key", "total_ordering", "singledispatch", "partialmethod"],
    ),
    ("re", "re", "_mt_mod_re", &["subn", "X", "VERBOSE"]),
];

/// The names of [`available`], in order.
pub(super) const AVAILABLE: &[&str] = &[
    "abc",
    "array",
    "asyncio",
    "base64",
    "binascii",
    "bisect",
    "calendar",
    "cmath",
    "collections",
    "collections.abc",
    "concurrent.futures",
    "contextlib",
    "copy",
    "csv",
    "dataclasses",
    "datetime",
    "decimal",
    "difflib",
    "enum",
    "fractions",
    "functools",
    "hashlib",
    "heapq",
    "html",
    "io",
    "itertools",
    "json",
    "logging",
    "math",
    "numbers",
    "operator",
    "os",
    "os.path",
    "pathlib",
    "posixpath",
    "pprint",
    "queue",
    "random",
    "re",
    "secrets",
    "stat",
    "statistics",
    "string",
    "sys",
    "textwrap",
    "time",
    "tomllib",
    "traceback",
    "types",
    "typing",
    "unicodedata",
    "urllib.parse",
    "uuid",
    "warnings",
    "zlib",
    "zoneinfo",
];

/// Where a module comes from.
pub(super) enum Provision {
    /// From the interpreter.
    Native,
    /// From the prelude: the piece and the object.
    Prelude(&'static str, &'static str),
}

pub(super) fn provision(module: &str) -> Option<Provision> {
    if NATIVE.contains(&module) {
        return Some(Provision::Native);
    }
    PRELUDE
        .iter()
        .find(|(name, ..)| *name == module)
        .map(|(_, piece, object)| Provision::Prelude(piece, object))
}

/// The piece and the object with a name that the interpreter's module lacks.
pub(super) fn added(module: &str, name: &str) -> Option<(&'static str, &'static str)> {
    ADDED
        .iter()
        .find(|(known, _, _, names)| *known == module && names.contains(&name))
        .map(|(_, piece, object, _)| (*piece, *object))
}

/// What to do without a module that programs often ask for.
pub(super) fn way_around(module: &str) -> &'static str {
    let top = module.split('.').next().unwrap_or_default();
    match top {
        "numpy" | "pandas" | "scipy" | "sklearn" | "polars" => {
            "Work with lists and dicts, and with statistics, math and csv."
        }
        "requests" | "httpx" | "aiohttp" | "urllib3" | "http" | "socket" | "bs4" | "selenium" | "urllib" => {
            "There is no network here: use the given functions."
        }
        "subprocess" | "shutil" | "tempfile" | "glob" | "multiprocessing" | "ctypes" | "signal" => {
            "There are no processes and no host files here: use the given functions."
        }
        "threading" => "There are no threads here: call several functions at once with asyncio.gather.",
        "matplotlib" | "seaborn" | "plotly" | "PIL" | "cv2" => {
            "There are no graphics here: print text or a table."
        }
        "sympy" | "mpmath" => "Compute with math, fractions and decimal.",
        "dateutil" | "pytz" | "arrow" => "Use datetime and zoneinfo.",
        "importlib" | "builtins" | "inspect" | "gc" | "ast" | "pickle" | "marshal" => {
            "The program cannot look into the interpreter: write the code directly."
        }
        "yaml" | "toml" | "xml" | "lxml" => "Use json, csv, tomllib or re.",
        "struct" => "Use int.from_bytes and int.to_bytes.",
        _ => "Write it with these modules or use the given functions.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_available_is_provided_and_sorted() {
        for module in AVAILABLE {
            assert!(provision(module).is_some(), "{module} is named but not provided");
        }
        for (module, ..) in PRELUDE {
            assert!(
                AVAILABLE.contains(module) || matches!(*module, "concurrent" | "urllib"),
                "{module} is provided but not named"
            );
        }
        assert!(AVAILABLE.is_sorted());
    }
}
