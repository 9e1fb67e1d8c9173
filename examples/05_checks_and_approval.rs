//! Answers that are held to a form, and calls that a person decides on.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use futures::future::BoxFuture;
use martlet::{Agent, Approver, Decision, Question, tool};
use martlet_testkit::ScriptedModel;
use serde_json::{Value, json};

/// Refunds an amount to a customer.
#[tool(needs_approval)]
async fn refund(
    /// The customer's number.
    customer: u32,
    /// Euros.
    amount: f64,
) -> String {
    format!("refunded {amount} € to customer {customer}")
}

/// Approves small refunds. A real one asks a person and may take a day: the run waits without holding a thread.
struct Clerk;

impl Approver for Clerk {
    fn decide<'a>(&'a self, question: Question<'a>) -> BoxFuture<'a, Decision> {
        Box::pin(async move {
            println!("{}({}) ?", question.tool, Value::from(question.arguments.clone()));
            match question.arguments.get("amount").and_then(Value::as_f64) {
                Some(amount) if amount <= 50.0 => Decision::Approved,
                _ => Decision::Denied { reason: "refunds above 50 € are not for you to give".into() },
            }
        })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let model = ScriptedModel::new([
        "```python\nfor customer, amount in [(1, 20.0), (2, 500.0)]:\n    try:\n        print(refund(customer, amount))\n    \
         except Exception as error:\n        print('not done:', error)\n```",
        "```python\nfinal_answer('one of two')\n```",
        "```python\nfinal_answer({'done': [1], 'refused': [2]})\n```",
    ]);
    let customers = json!({"type": "array", "items": {"type": "integer"}});
    let agent = Agent::code(model)
        .tool(refund)
        .approver(Clerk)
        .answer_schema(json!({
            "type": "object",
            "properties": {"done": customers, "refused": customers},
            "required": ["done", "refused"],
        }))
        .build()?;
    let result = agent.run("Refund 20 € to customer 1 and 500 € to customer 2.").await?;
    println!("{}", martlet::replay(&result));
    assert_eq!(result.output, json!({"done": [1], "refused": [2]}));
    Ok(())
}
