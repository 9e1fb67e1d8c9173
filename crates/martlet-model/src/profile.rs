//! What can be told of a model from its name and its server.

use martlet_core::ModelProfile;

/// The largest model, in thousands of millions of parameters, that gets the compact prompts.
const SMALL_UP_TO: f64 = 4.0;

/// Families that are small in every size that they come in.
const SMALL_FAMILIES: [&str; 1] = ["smollm"];

/// Families that write their tool calls as text, so that no server finds them.
const WITHOUT_TOOL_CALLS: [&str; 2] = ["qwen2.5-coder", "smollm"];

/// What kind of server answers, as far as it changes requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Server {
    /// OpenAI itself.
    OpenAi,
    /// OpenAI's models on Azure.
    Azure,
    /// llama.cpp's server and what is built on it, such as Ollama: they continue a last assistant message.
    LlamaCpp,
    /// vLLM: it continues a last assistant message if it is asked to.
    Vllm,
    /// Any other.
    #[default]
    Other,
}

/// What can be told of a model from its name and its server:
///
/// - *small* if the largest size in the name is at most 4 thousand million parameters (`3b`, `1.5B`,
///   `270m`), or the family has no larger ones (SmolLM);
/// - *prefill* if the server continues a last assistant message ([`Server::LlamaCpp`], [`Server::Vllm`]);
/// - *native tools* unless the family is known to write tool calls as text (Qwen2.5-Coder, SmolLM).
///
/// ```
/// use martlet_model::{Server, profile_of};
/// let profile = profile_of("qwen2.5-coder:1.5b", Server::LlamaCpp);
/// assert!(profile.small && profile.prefill && !profile.native_tools);
/// ```
pub fn profile_of(model: &str, server: Server) -> ModelProfile {
    let model = model.to_ascii_lowercase();
    let has_any = |families: &[&str]| families.iter().any(|family| model.contains(family));
    ModelProfile {
        small: size_of(&model).map_or_else(|| has_any(&SMALL_FAMILIES), |size| size <= SMALL_UP_TO),
        prefill: matches!(server, Server::LlamaCpp | Server::Vllm),
        native_tools: !has_any(&WITHOUT_TOOL_CALLS),
        ..ModelProfile::default()
    }
}

/// The largest size in a lower-case name, in thousands of millions of parameters: `30b-a3b` is 30.
fn size_of(model: &str) -> Option<f64> {
    // A dot belongs to a number (`1.5b`); everything else that is not a letter or digit separates.
    model
        .split(|character: char| !character.is_ascii_alphanumeric() && character != '.')
        .filter_map(|word| {
            let (number, unit) = word
                .strip_suffix('b')
                .map(|number| (number, 1.0))
                .or_else(|| word.strip_suffix('m').map(|number| (number, 0.001)))?;
            // `e2b` (effective) and `a3b` (active) carry a letter; `8x7b` is more than its last number.
            let number = number.strip_prefix(['e', 'a']).unwrap_or(number);
            let mut factors =
                number.split('x').map(|factor| factor.parse::<f64>().ok().filter(|size| *size > 0.0));
            let size = factors.try_fold(1.0, |product, factor| factor.map(|factor| product * factor))?;
            Some(size * unit)
        })
        .reduce(f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_from_names() {
        for (name, size) in [
            ("qwen2.5-coder:1.5b", Some(1.5)),
            ("qwen2.5-coder-1.5b-instruct-q4_k_m", Some(1.5)),
            ("llama3.2:3b", Some(3.0)),
            ("llama-3.1-8b-instant", Some(8.0)),
            ("qwen3-30b-a3b", Some(30.0)),
            ("gemma3n:e2b", Some(2.0)),
            ("mixtral-8x7b", Some(56.0)),
            ("smollm2-135m-instruct", Some(0.135)),
            ("qwen3:0.6b-4bit", Some(0.6)),
            ("gpt-4o", None),
            ("o3-mini", None),
            ("llama3.3", None),
            ("claude-4-b", None),
        ] {
            assert_eq!(size_of(name), size, "{name}");
        }
    }

    #[test]
    fn profiles_follow_from_name_and_server() {
        let profile = |small, prefill, native_tools| ModelProfile {
            small,
            prefill,
            native_tools,
            ..ModelProfile::default()
        };
        assert_eq!(profile_of("Qwen2.5-Coder-1.5B", Server::LlamaCpp), profile(true, true, false));
        assert_eq!(profile_of("qwen3:8b", Server::LlamaCpp), profile(false, true, true));
        assert_eq!(profile_of("gpt-4o", Server::OpenAi), profile(false, false, true));
        assert_eq!(profile_of("smollm2", Server::Other), profile(true, false, false));
        assert_eq!(profile_of("Qwen/Qwen3-4B", Server::Vllm), profile(true, true, true));
    }
}
