//! The `#[tool]` attribute of Martlet.
//!
//! Use it as `martlet::tool`; this crate is only where the compiler wants procedural macros to be.

mod docs;
mod expand;
mod options;
mod parameter;

use proc_macro::TokenStream;

/// Makes a tool from a documented function: its name, description and JSON Schema come from the source.
///
/// ```ignore
/// // Not compiled here, because this crate cannot depend on the tools; `martlet-tools` tests the like.
/// use martlet_macros::tool;
/// use martlet_tools::{Tool, ToolContext, ToolError};
///
/// /// Forecast for a city, in °C for each day.
/// #[tool(read_only, timeout_ms = 5_000, crate = "martlet_tools")]
/// async fn forecast(
///     /// Name of the city.
///     city: String,
///     /// How many days ahead.
///     #[default = 3]
///     days: u8,
///     cx: &ToolContext,
/// ) -> Result<Vec<f64>, ToolError> {
///     if city.is_empty() {
///         return Err(ToolError::new("name a city"));
///     }
///     println!("{} asks", cx.user().unwrap_or("somebody"));
///     Ok(vec![21.5; usize::from(days)])
/// }
///
/// assert_eq!(forecast.spec().name, "forecast");
/// assert_eq!(forecast.spec().parameter_names().collect::<Vec<_>>(), ["city", "days"]);
/// ```
///
/// # What becomes of the function
///
/// Its name stands for the tool: `.tool(forecast)`. The function itself is called as `forecast::call_directly(…)`,
/// by tests for example, without JSON and without the checks of the toolbox. The attribute therefore also makes a
/// type of the function's name; a module beside it cannot have that name. To call the tool with JSON, use a toolbox, or
/// write `Tool::call(&forecast, …)`: `forecast.call(…)` is a name that Rust wants for functions themselves.
///
/// An `async fn` runs as a part of the run that called it. A plain `fn` runs on the pool for blocking work.
/// It cannot be stopped there: a call that is cancelled or takes too long is only no longer waited for.
///
/// # The description
///
/// The doc comment, which is required. Parameters are described by doc comments of their own, or in a section of
/// the function's:
///
/// ```text
/// /// # Arguments
/// /// * `city` - Name of the city.
/// ```
///
/// # Parameters
///
/// Any type that implements `Deserialize` and schemars' `JsonSchema`: numbers, texts, `bool`, `Vec`, maps, and
/// structs and enums that derive both. References are not among them: take a `String` and not a `&str`.
///
/// - An `Option` may be left out or null.
/// - `#[default = …]` gives a value to a parameter that is left out; its type must be `Serialize`, too.
/// - `&ToolContext` is filled in by the caller and hidden from the model.
///
/// # The result
///
/// Anything that is `Serialize`, a `ToolOutput`, or `Part`s; or a `Result` of such with an error that turns into a
/// `ToolError`, as nearly all do.
///
/// # Options
///
/// | option | meaning |
/// |---|---|
/// | `read_only` | it changes nothing: after a crash it may be repeated |
/// | `idempotent` | repeating it with the same idempotency key has no further effect |
/// | `needs_approval` | a person has to approve each call |
/// | `name = "…"` | the name for the model, if not that of the function |
/// | `timeout_ms = …` | how long a call may take, in milliseconds |
/// | `example = …` | an example of a result, for small models |
/// | `crate = "…"` | where the crate `martlet-tools` is found; default `::martlet::tools` |
#[proc_macro_attribute]
pub fn tool(options: TokenStream, function: TokenStream) -> TokenStream {
    expand::expand(options.into(), function.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}
