use std::sync::Arc;

use martlet_sandbox::InProcess;
use martlet_tools::{PythonTool, ToolContext, ToolFailure, ToolFailureKind, Toolbox};
use serde_json::json;

async fn run(code: &str) -> Result<String, ToolFailure> {
    let tools = Toolbox::new().with(PythonTool::new(Arc::new(InProcess::new()))).unwrap();
    let arguments = json!({"code": code}).as_object().unwrap().clone();
    tools.call("python", arguments, &ToolContext::trial()).await.map(|output| output.to_text())
}

#[tokio::test]
async fn a_program_gives_its_output_and_its_value() {
    assert_eq!(run("print('hi')\n6 * 7").await.unwrap(), "Stdout:\nhi\nOutput: 42");
    assert_eq!(run("x = 1").await.unwrap(), "Output: 1");
    assert_eq!(run("import math").await.unwrap(), "Output: None");
}

#[tokio::test]
async fn an_error_of_the_program_is_told_to_the_model() {
    let failure = run("print('hi')\n1 / 0").await.unwrap_err();
    assert_eq!(failure.kind, ToolFailureKind::Failed);
    assert!(failure.message.starts_with("Stdout:\nhi\nError in line 2"), "{failure}");
    assert!(failure.message.contains("ZeroDivisionError"), "{failure}");
}

#[tokio::test]
async fn nothing_is_left_behind_for_the_next_call() {
    run("secret = 1").await.unwrap();
    assert!(run("secret").await.unwrap_err().message.contains("NameError"));
}

#[tokio::test]
async fn modules_that_do_not_exist_are_named() {
    let error = PythonTool::new(Arc::new(InProcess::new())).imports(["numpy"]).unwrap_err();
    assert!(error.to_string().contains("numpy"), "{error}");
}
