//! From the function to the tool.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, format_ident, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{
    Attribute, Expr, ExprLit, GenericArgument, ItemFn, Lit, Path, PathArguments, ReturnType, Signature, Type,
};

use crate::docs::{self, FunctionDocs};
use crate::options::Options;
use crate::parameter::{Argument, Parameter, Presence, named};

pub(crate) fn expand(options: TokenStream, function: TokenStream) -> syn::Result<TokenStream> {
    let options = Options::parse(options)?;
    let mut function: ItemFn = syn::parse2(function)?;
    refuse(&function.sig)?;
    let mut parameters = Vec::with_capacity(function.sig.inputs.len());
    for input in &mut function.sig.inputs {
        let parameter = Parameter::take(input)?;
        if matches!(parameter, Parameter::Context)
            && parameters.iter().any(|p| matches!(p, Parameter::Context))
        {
            return Err(syn::Error::new(input.span(), "one `&ToolContext` is enough"));
        }
        parameters.push(parameter);
    }
    let docs = FunctionDocs::parse(&docs::text(&function.attrs));
    describe(&mut parameters, &docs, docs::span(&function.attrs))?;
    if docs.description.is_empty() {
        return Err(syn::Error::new(
            function.sig.ident.span(),
            "the model has to know what the tool does: write a doc comment above the function",
        ));
    }
    Ok(generate(&options, function, &parameters, &docs.description))
}

/// Refuses what cannot become a tool.
fn refuse(signature: &Signature) -> syn::Result<()> {
    let error = |span: Span, message: &str| Err(syn::Error::new(span, message));
    if let Some(generic) = signature.generics.params.first() {
        return error(generic.span(), "a tool has one schema, so that its function cannot be generic");
    }
    if let Some(unsafety) = &signature.unsafety {
        return error(unsafety.span(), "a model calls this function: it cannot be `unsafe`");
    }
    if let Some(constness) = &signature.constness {
        return error(constness.span(), "a tool is an `async fn` or a plain `fn`, not a `const fn`");
    }
    if let Some(abi) = &signature.abi {
        return error(abi.span(), "a tool is an `async fn` or a plain `fn` of Rust");
    }
    if let Some(variadic) = &signature.variadic {
        return error(variadic.span(), "the arguments have to be named");
    }
    Ok(())
}

/// Adds what the function's own doc comment says of its arguments.
fn describe(parameters: &mut [Parameter], docs: &FunctionDocs, span: Option<Span>) -> syn::Result<()> {
    for (name, text) in &docs.arguments {
        let argument = parameters.iter_mut().find_map(|parameter| match parameter {
            Parameter::Argument(argument) if argument.name == *name => Some(argument),
            _ => None,
        });
        match argument {
            Some(argument) if argument.description.is_empty() => argument.description.clone_from(text),
            Some(_) => {
                let message = format!("`{name}` is described twice: here and at the parameter");
                return Err(syn::Error::new(span.unwrap_or_else(Span::call_site), message));
            }
            None => {
                let message =
                    format!("`{name}` is described under \"Arguments\", but there is no such argument");
                return Err(syn::Error::new(span.unwrap_or_else(Span::call_site), message));
            }
        }
    }
    Ok(())
}

fn generate(options: &Options, function: ItemFn, parameters: &[Parameter], description: &str) -> TokenStream {
    let ItemFn { attrs, vis, sig, block } = function;
    let krate = &options.krate;
    let ident = &sig.ident;
    let (docs, others): (Vec<Attribute>, Vec<Attribute>) =
        attrs.into_iter().partition(|attribute| attribute.path().is_ident("doc"));
    let (conditions, others): (Vec<Attribute>, Vec<Attribute>) =
        others.into_iter().partition(|attribute| attribute.path().is_ident("cfg"));
    let name = options.name.as_ref().map_or_else(|| ident.unraw().to_string(), |name| name.value());
    let direct = Signature { ident: format_ident!("call_directly", span = ident.span()), ..sig.clone() };
    let spec = spec(options, &name, description, parameters, &sig.output);
    let call = call(krate, &name, &sig, parameters);
    let time_limit = options.timeout_ms.as_ref().map(|limit| {
        quote! {
            fn time_limit(&self) -> ::std::option::Option<::std::time::Duration> {
                ::std::option::Option::Some(::std::time::Duration::from_millis(#limit))
            }
        }
    });
    quote! {
        #(#conditions)*
        #(#docs)*
        #[allow(non_camel_case_types)]
        #[derive(::std::clone::Clone, ::std::marker::Copy, ::std::fmt::Debug)]
        #vis struct #ident {}

        #(#conditions)*
        #(#docs)*
        #vis fn #ident() -> &'static #ident {
            &#ident {}
        }

        #(#conditions)*
        impl #ident {
            /// Calls the function itself: without JSON, checks and limits.
            #(#others)*
            #vis #direct #block
        }

        #(#conditions)*
        const _: () = {
            use #krate::__private as martlet_private;

            impl #krate::Tool for #ident {
                fn spec(&self) -> &#krate::ToolSpec {
                    static SPEC: ::std::sync::LazyLock<#krate::ToolSpec> = ::std::sync::LazyLock::new(|| #spec);
                    &SPEC
                }

                #time_limit

                fn call<'a>(
                    &'a self,
                    arguments: martlet_private::Map<::std::string::String, martlet_private::Value>,
                    context: &'a #krate::ToolContext,
                ) -> martlet_private::BoxFuture<
                    'a,
                    ::std::result::Result<#krate::ToolOutput, #krate::ToolError>,
                > {
                    ::std::boxed::Box::pin(async move { #call })
                }
            }
        };
    }
}

fn spec(
    options: &Options,
    name: &str,
    description: &str,
    parameters: &[Parameter],
    output: &ReturnType,
) -> TokenStream {
    let Options { krate, read_only, idempotent, needs_approval, .. } = options;
    let parameters = arguments(parameters).map(|argument| {
        let Argument { name, description, ty, presence } = argument;
        match presence {
            Presence::Required => quote_spanned!(ty.span()=> .required::<#ty>(#name, #description)),
            Presence::Optional => quote_spanned!(ty.span()=> .optional::<#ty>(#name, #description)),
            Presence::Default(default) => {
                let default = typed_default(default, ty);
                quote_spanned!(ty.span()=> .with_default::<#ty>(#name, #description, #default))
            }
        }
    });
    let returns = returned(output).map(|ty| {
        quote_spanned! {ty.span()=> .returns({
            #[allow(unused_imports)]
            use martlet_private::{HasSchema as _, MayLackSchema as _};
            (&martlet_private::Probe::<#ty>::new()).schema()
        }) }
    });
    let example = options.example.as_ref().map(|example| quote_spanned!(example.span()=> .example(#example)));
    quote! {
        martlet_private::SpecBuilder::new(#name, #description, #krate::ToolFlags {
            read_only: #read_only,
            idempotent: #idempotent,
            needs_approval: #needs_approval,
        })
        #(#parameters)*
        #returns
        #example
        .build()
    }
}

fn call(krate: &Path, name: &str, signature: &Signature, parameters: &[Parameter]) -> TokenStream {
    let ident = &signature.ident;
    let reads = arguments(parameters).enumerate().map(|(place, argument)| {
        let Argument { name, ty, presence, .. } = argument;
        let variable = variable(place);
        let read = match presence {
            Presence::Required => quote_spanned!(ty.span()=> arguments.required::<#ty>(#name)?),
            Presence::Optional => quote_spanned!(ty.span()=> arguments.optional::<#ty>(#name)?),
            Presence::Default(default) => {
                let default = typed_default(default, ty);
                quote_spanned!(ty.span()=> arguments.or_default::<#ty>(#name, || #default)?)
            }
        };
        quote!(let #variable: #ty = #read;)
    });
    let mut place = 0;
    let passed: Vec<TokenStream> = parameters
        .iter()
        .map(|parameter| match parameter {
            Parameter::Context => quote!(context),
            Parameter::Argument(_) => {
                let variable = variable(place);
                place += 1;
                quote!(#variable)
            }
        })
        .collect();
    let value = match signature.asyncness {
        Some(_) => quote!(#ident::call_directly(#(#passed),*).await),
        None => {
            // The pool outlives the call, so that it gets a context of its own.
            let context =
                parameters.iter().any(|parameter| matches!(parameter, Parameter::Context)).then(|| {
                    quote! {
                        let context: #krate::ToolContext = ::std::clone::Clone::clone(context);
                    }
                });
            let passed = parameters.iter().zip(&passed).map(|(parameter, passed)| match parameter {
                Parameter::Context => quote!(&context),
                Parameter::Argument(_) => passed.clone(),
            });
            quote! {{
                #context
                martlet_private::blocking(#name, move || #ident::call_directly(#(#passed),*)).await?
            }}
        }
    };
    let output = match &signature.output {
        ReturnType::Type(_, ty) if named(ty, "Result") => {
            quote_spanned!(ty.span()=> martlet_private::fallible(value))
        }
        output => quote_spanned!(output.span()=> martlet_private::plain(value)),
    };
    quote! {
        #[allow(unused_mut, unused_variables)]
        let mut arguments = martlet_private::ArgumentReader::new(arguments);
        #(#reads)*
        #[allow(clippy::let_unit_value)]
        let value = #value;
        #output
    }
}

fn arguments(parameters: &[Parameter]) -> impl Iterator<Item = &Argument> {
    parameters.iter().filter_map(|parameter| match parameter {
        Parameter::Argument(argument) => Some(&**argument),
        Parameter::Context => None,
    })
}

fn variable(place: usize) -> proc_macro2::Ident {
    format_ident!("argument_{place}")
}

/// The default as a value of the parameter's type: a text may become whatever is made from one.
fn typed_default(default: &Expr, ty: &Type) -> TokenStream {
    match default {
        Expr::Lit(ExprLit { lit: Lit::Str(_), .. }) => {
            quote_spanned!(default.span()=> <#ty as ::std::convert::From<&str>>::from(#default))
        }
        _ => default.to_token_stream(),
    }
}

/// The type of what the function returns if nothing goes wrong; `None` if that is nothing.
fn returned(output: &ReturnType) -> Option<&Type> {
    let ReturnType::Type(_, ty) = output else { return None };
    let success = match &**ty {
        Type::Path(path) if named(ty, "Result") => match &path.path.segments.last()?.arguments {
            PathArguments::AngleBracketed(arguments) => {
                arguments.args.iter().find_map(|argument| match argument {
                    GenericArgument::Type(ty) => Some(ty),
                    _ => None,
                })?
            }
            _ => return None,
        },
        ty => ty,
    };
    match success {
        Type::Tuple(tuple) if tuple.elems.is_empty() => None,
        ty => Some(ty),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sentence with which a function is refused.
    fn refusal(options: TokenStream, function: TokenStream) -> String {
        expand(options, function).map(drop).expect_err("the function should have been refused").to_string()
    }

    #[test]
    fn functions_that_cannot_be_tools_are_refused_with_a_sentence() {
        let cases: Vec<(TokenStream, &str)> = vec![
            (
                quote!(
                    /** D. */
                    fn f(&self) {}
                ),
                "takes no `self`",
            ),
            (
                quote!(
                    /** D. */
                    fn f<T>(x: T) {}
                ),
                "cannot be generic",
            ),
            (
                quote!(
                    /** D. */
                    fn f<'a>(x: &'a str) {}
                ),
                "cannot be generic",
            ),
            (
                quote!(
                    /** D. */
                    fn f(x: &str) {}
                ),
                "take `String` for `&str`",
            ),
            (
                quote!(
                    /** D. */
                    fn f(x: impl Into<String>) {}
                ),
                "instead of `impl Trait`",
            ),
            (
                quote!(
                    /** D. */
                    fn f(cx: &mut ToolContext) {}
                ),
                "take `&ToolContext`",
            ),
            (
                quote!(
                    /** D. */
                    fn f(cx: ToolContext) {}
                ),
                "take `&ToolContext`",
            ),
            (
                quote!(
                    /** D. */
                    fn f(a: &ToolContext, b: &ToolContext) {}
                ),
                "one `&ToolContext` is enough",
            ),
            (
                quote!(
                    /** D. */
                    fn f((a, b): (u8, u8)) {}
                ),
                "write `name: Type`",
            ),
            (
                quote!(
                    /** D. */
                    unsafe fn f() {}
                ),
                "cannot be `unsafe`",
            ),
            (
                quote!(
                    /** D. */
                    const fn f() {}
                ),
                "not a `const fn`",
            ),
            (
                quote!(
                    /** D. */
                    extern "C" fn f() {}
                ),
                "of Rust",
            ),
            (
                quote!(
                    fn f() {}
                ),
                "write a doc comment",
            ),
            (
                quote!(
                    /** D. */
                    fn f(#[default] x: u8) {}
                ),
                "#[default = value]",
            ),
            (
                quote!(
                    /** D. */
                    fn f(
                        #[default = 1]
                        #[default = 2]
                        x: u8,
                    ) {
                    }
                ),
                "one default",
            ),
            (
                quote!(
                    /** D. */
                    fn f(#[default = 1] x: Option<u8>) {}
                ),
                "drop either",
            ),
            (
                quote!(
                    #[doc = "D.\n# Arguments\n* `y` - Y."]
                    fn f(x: u8) {}
                ),
                "no such argument",
            ),
            (
                quote!(
                    #[doc = "D.\n# Arguments\n* `x` - Y."]
                    fn f(
                        /** X. */
                        x: u8,
                    ) {
                    }
                ),
                "described twice",
            ),
        ];
        for (function, expected) in cases {
            let message = refusal(quote!(), function.clone());
            assert!(message.contains(expected), "{function}\n{message}");
        }
    }

    #[test]
    fn wrong_options_are_refused_with_a_sentence() {
        let cases = [
            (quote!(readonly), "unknown option"),
            (quote!(read_only, read_only), "given twice"),
            (quote!(name = "web-search"), "letters, digits"),
            (quote!(name = "2x"), "no digit at the start"),
            (quote!(name = ""), "letters, digits"),
            (quote!(timeout_ms = 0), "for no limit"),
            (quote!(timeout_ms = "1s"), "expected integer literal"),
        ];
        for (options, expected) in cases {
            let message = refusal(
                options.clone(),
                quote!(
                    /** D. */
                    fn f() {}
                ),
            );
            assert!(message.contains(expected), "{options}\n{message}");
        }
    }

    #[test]
    fn what_only_the_macro_understands_is_gone() {
        let code = expand(
            quote!(crate = "martlet_tools"),
            quote!(
                /** D. */
                fn f(
                    /** X. */
                    #[default = 5]
                    x: u8,
                    #[allow(unused)] y: u8,
                ) {
                }
            ),
        )
        .unwrap()
        .to_string();
        assert!(!code.contains("default = 5"), "{code}");
        assert!(code.contains("allow (unused)"), "{code}");
        syn::parse_str::<syn::File>(&code).unwrap();
    }
}
