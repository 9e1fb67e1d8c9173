//! The options of `#[tool(…)]`.

use proc_macro2::TokenStream;
use syn::meta::ParseNestedMeta;
use syn::parse::Parser as _;
use syn::{Expr, LitInt, LitStr, Path, parse_quote};

pub(crate) struct Options {
    pub(crate) read_only: bool,
    pub(crate) idempotent: bool,
    pub(crate) needs_approval: bool,
    pub(crate) name: Option<LitStr>,
    pub(crate) timeout_ms: Option<LitInt>,
    pub(crate) example: Option<Expr>,
    pub(crate) krate: Path,
}

impl Options {
    pub(crate) fn parse(tokens: TokenStream) -> syn::Result<Self> {
        let mut options = Self {
            read_only: false,
            idempotent: false,
            needs_approval: false,
            name: None,
            timeout_ms: None,
            example: None,
            krate: parse_quote!(::martlet::tools),
        };
        let mut seen: Vec<String> = Vec::new();
        syn::meta::parser(|meta| {
            let option = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
            if seen.contains(&option) {
                return Err(meta.error(format!("`{option}` is given twice")));
            }
            options.set(&option, &meta)?;
            seen.push(option);
            Ok(())
        })
        .parse2(tokens)?;
        Ok(options)
    }

    fn set(&mut self, option: &str, meta: &ParseNestedMeta<'_>) -> syn::Result<()> {
        match option {
            "read_only" => self.read_only = true,
            "idempotent" => self.idempotent = true,
            "needs_approval" => self.needs_approval = true,
            "name" => self.name = Some(tool_name(meta.value()?.parse()?)?),
            "timeout_ms" => self.timeout_ms = Some(milliseconds(meta.value()?.parse()?)?),
            "example" => self.example = Some(meta.value()?.parse()?),
            "crate" => self.krate = meta.value()?.parse::<LitStr>()?.parse_with(Path::parse_mod_style)?,
            _ => {
                return Err(meta.error(
                    "unknown option: use `read_only`, `idempotent`, `needs_approval`, `name = \"…\"`, \
                     `timeout_ms = …`, `example = …` or `crate = \"…\"`",
                ));
            }
        }
        Ok(())
    }
}

fn tool_name(name: LitStr) -> syn::Result<LitStr> {
    // Python's keywords are refused where the tool is added to an agent.
    syn::parse_str::<syn::Ident>(&format!("_{}", name.value()))
        .ok()
        .filter(|ident| ident.to_string().is_ascii())
        .filter(|_| {
            !name.value().is_empty() && !name.value().starts_with(|first: char| first.is_ascii_digit())
        })
        .map(|_| name.clone())
        .ok_or_else(|| {
            syn::Error::new(
                name.span(),
                "a tool's name has letters, digits and `_`, and no digit at the start",
            )
        })
}

fn milliseconds(limit: LitInt) -> syn::Result<LitInt> {
    match limit.base10_parse::<u64>() {
        Ok(0) => {
            Err(syn::Error::new(limit.span(), "no call is over in 0 ms; leave `timeout_ms` out for no limit"))
        }
        Ok(_) => Ok(limit),
        Err(error) => Err(error),
    }
}
