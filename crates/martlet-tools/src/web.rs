//! Tools that use the web, and the guarded client that they share.
//!
//! A model decides where these tools go, and what it reads may have been written to mislead it. So [`Client`] reaches
//! public addresses alone, unless its [builder](ClientBuilder) says otherwise; it checks the very address that it connects
//! to, at each hop; and it holds limits of size and time. What it refuses is told to the model as the failure of the call.
//!
//! ```
//! # use martlet_tools::{Toolbox, ToolboxError};
//! use martlet_tools::web::{Client, DownloadImages, SearchProvider, VisitWebpage, WebSearch};
//!
//! # fn tools() -> Result<Toolbox, Box<dyn std::error::Error>> {
//! let client = Client::builder().build()?;
//! let tools = Toolbox::new()
//!     .with(WebSearch::new(client.clone(), SearchProvider::DuckDuckGo))?
//!     .with(VisitWebpage::new(client.clone()))?
//!     .with(DownloadImages::new(client))?;
//! # Ok(tools)
//! # }
//! # assert_eq!(tools().unwrap().len(), 3);
//! ```

mod address;
mod client;
mod error;
mod images;
mod markup;
mod page;
mod policy;
mod resolver;
mod search;
mod visit;

pub use client::{Client, ClientBuilder, Fetched};
pub use error::{ClientError, FetchError, FetchErrorKind};
pub use images::DownloadImages;
pub use resolver::Lookup;
pub use search::{SearchProvider, SearchResult, WebSearch};
pub use url::Url;
pub use visit::VisitWebpage;
