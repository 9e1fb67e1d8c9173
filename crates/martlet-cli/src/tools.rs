//! The tools that come with the command.

use std::sync::Arc;

use martlet::Toolbox;
use martlet::sandbox::Sandbox;
use martlet::tools::{AskUser, PythonTool, ReadFile};

use crate::exit::Failure;
use crate::web::WebTools;

/// The names of the tools.
pub(crate) const BUILT_IN: [&str; 6] =
    ["ask_user", "download_images", "python", "read_file", "visit_webpage", "web_search"];

/// smolagents' names for the same tools.
const ALIASES: [(&str, &str); 2] = [("user_input", "ask_user"), ("python_interpreter", "python")];

/// The tools of these names. The programs of `python` run in `sandbox` and may import `imports`; `ask_user` asks at the
/// terminal, unless another one is given; those that use the web are `web`'s.
pub(crate) fn toolbox(
    names: &[String],
    sandbox: &Arc<dyn Sandbox>,
    imports: &[String],
    ask_user: Option<&AskUser>,
    web: &WebTools,
) -> Result<Toolbox, Failure> {
    let mut tools = Toolbox::new();
    for name in names {
        let added = match own_name(name) {
            "ask_user" => tools.add_default(ask_user.cloned().unwrap_or_else(AskUser::terminal)),
            "python" => tools.add_default(PythonTool::new(sandbox.clone()).imports(imports.iter().cloned())?),
            "read_file" => tools.add_default(ReadFile::new()),
            "web_search" => tools.add_default(web.search()?),
            "visit_webpage" => tools.add_default(web.visit()?),
            "download_images" => tools.add_default(web.images()?),
            _ => {
                let known = BUILT_IN.join(", ");
                return Err(Failure::usage(format!("there is no tool `{name}`; there are {known}")));
            }
        };
        added.map_err(|error| Failure::usage(error.to_string()))?;
    }
    Ok(tools)
}

/// Whether there is a tool of this name.
pub(crate) fn is_known(name: &str) -> bool {
    BUILT_IN.contains(&own_name(name))
}

/// Whether `python` is among the names.
pub(crate) fn has_python(names: &[String]) -> bool {
    names.iter().any(|name| own_name(name) == "python")
}

/// Martlet's name of the tool.
pub(crate) fn own_name(name: &str) -> &str {
    ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, own)| own)
}
