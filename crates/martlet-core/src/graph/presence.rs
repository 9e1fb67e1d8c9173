//! Boolean formulas over the conditions of a graph: under which choices of branches something is reached.
//!
//! A formula is a reduced ordered binary decision diagram (R. E. Bryant, "Graph-Based Algorithms for Boolean Function
//! Manipulation", 1986), and equal formulas are one: so equality, `never` and `always` are comparisons of two numbers.

use std::collections::HashMap;

/// How many steps all operations together may take. Diagrams can grow exponentially; beyond this many steps (some
/// dozens of megabytes, a fraction of a second) the answer is "not known". A step makes at most one test, so that the
/// number of tests is bounded as well.
const STEPS: u32 = 1_000_000;

/// A formula; it belongs to the [`Formulas`] that made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Formula(u32);

impl Formula {
    /// Holds under no choice.
    pub(super) const NEVER: Self = Self(0);
    /// Holds under every choice.
    pub(super) const ALWAYS: Self = Self(1);
}

/// One test of a diagram: which formula is left when the variable is true, and when it is false.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Test {
    variable: u32,
    holds: Formula,
    fails: Formula,
}

/// What stands for the two constants, which test nothing. Variables begin at 1.
const CONSTANT: Test = Test { variable: 0, holds: Formula::NEVER, fails: Formula::NEVER };

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Operation {
    And,
    Or,
    /// The first, but not the second.
    Except,
}

/// Where formulas are made. Operations give `None` once the steps are used up.
#[derive(Debug)]
pub(super) struct Formulas {
    tests: Vec<Test>,
    made: HashMap<Test, Formula>,
    results: HashMap<(Operation, Formula, Formula), Formula>,
    variables: u32,
    steps: u32,
}

impl Formulas {
    pub(super) fn new() -> Self {
        Self {
            tests: vec![CONSTANT; 2],
            made: HashMap::new(),
            results: HashMap::new(),
            variables: 0,
            steps: STEPS,
        }
    }

    /// A new variable: its number, itself, and its negation.
    ///
    /// A diagram tests newer variables first. Made in the order of a graph, a formula then grows at its top: a chain
    /// of conditions costs one step each, where the other order would walk down the whole chain each time.
    pub(super) fn variable(&mut self) -> (u32, Formula, Formula) {
        self.variables += 1;
        let variable = self.variables;
        let yes = self.test(Test { variable, holds: Formula::ALWAYS, fails: Formula::NEVER });
        let no = self.test(Test { variable, holds: Formula::NEVER, fails: Formula::ALWAYS });
        (variable, yes, no)
    }

    pub(super) fn and(&mut self, left: Formula, right: Formula) -> Option<Formula> {
        self.apply(Operation::And, left, right)
    }

    pub(super) fn or(&mut self, left: Formula, right: Formula) -> Option<Formula> {
        self.apply(Operation::Or, left, right)
    }

    /// `left` and not `right`.
    pub(super) fn except(&mut self, left: Formula, right: Formula) -> Option<Formula> {
        self.apply(Operation::Except, left, right)
    }

    /// At least `count` of the formulas.
    pub(super) fn at_least(&mut self, count: usize, of: &[Formula]) -> Option<Formula> {
        let always = of.iter().filter(|formula| **formula == Formula::ALWAYS).count();
        let Some(count) = count.checked_sub(always).filter(|count| *count > 0) else {
            return Some(Formula::ALWAYS);
        };
        let open: Vec<Formula> =
            of.iter().copied().filter(|it| ![Formula::ALWAYS, Formula::NEVER].contains(it)).collect();
        if count > open.len() {
            return Some(Formula::NEVER);
        }
        if open.windows(2).all(|pair| pair.first() == pair.last()) {
            return open.first().copied();
        }
        // reached[n]: at least n of the formulas that were looked at.
        let mut reached = vec![Formula::NEVER; count + 1];
        if let Some(none) = reached.first_mut() {
            *none = Formula::ALWAYS;
        }
        for formula in open {
            let mut more = reached.clone();
            for (next, pair) in more.iter_mut().skip(1).zip(reached.windows(2)) {
                self.steps = self.steps.checked_sub(1)?;
                if let [fewer, same] = pair {
                    let grown = self.and(*fewer, formula)?;
                    *next = self.or(*same, grown)?;
                }
            }
            reached = more;
        }
        reached.last().copied()
    }

    /// One choice of as few variables as possible for which the formula holds, in the order of the variables; nothing
    /// for one that never holds.
    pub(super) fn example(&self, formula: Formula) -> Vec<(u32, bool)> {
        // Breadth first, so that the first way to `ALWAYS` is a shortest one.
        let mut came_from: HashMap<Formula, (Formula, u32, bool)> = HashMap::new();
        let mut queue = std::collections::VecDeque::from([formula]);
        while let Some(here) = queue.pop_front().filter(|here| *here != Formula::ALWAYS) {
            let test = self.at(here);
            for (next, value) in [(test.fails, false), (test.holds, true)] {
                if next != Formula::NEVER && next != formula && !came_from.contains_key(&next) {
                    came_from.insert(next, (here, test.variable, value));
                    queue.push_back(next);
                }
            }
        }
        let mut choice = Vec::new();
        let mut here = Formula::ALWAYS;
        while let Some((before, variable, value)) = came_from.get(&here) {
            choice.push((*variable, *value));
            here = *before;
        }
        choice
    }

    /// The operation on two diagrams, with a stack of its own: diagrams can be as deep as a graph is long.
    fn apply(&mut self, operation: Operation, left: Formula, right: Formula) -> Option<Formula> {
        let mut open = vec![(left, right)];
        while let Some(&(left, right)) = open.last() {
            if self.known(operation, left, right).is_some() {
                open.pop();
                continue;
            }
            // Not only when a step is taken: until then, each operation would walk down its diagrams for nothing.
            if self.steps == 0 {
                return None;
            }
            let variable = self.at(left).variable.max(self.at(right).variable);
            let (left_holds, left_fails) = self.split(left, variable);
            let (right_holds, right_fails) = self.split(right, variable);
            let holds = self.known(operation, left_holds, right_holds);
            let fails = self.known(operation, left_fails, right_fails);
            match (holds, fails) {
                (Some(holds), Some(fails)) => {
                    self.steps = self.steps.checked_sub(1)?;
                    let result = self.test(Test { variable, holds, fails });
                    self.results.insert(key(operation, left, right), result);
                }
                (None, _) => open.push((left_holds, right_holds)),
                (_, None) => open.push((left_fails, right_fails)),
            }
        }
        self.known(operation, left, right)
    }

    /// The result where it is plain or was computed before.
    fn known(&self, operation: Operation, left: Formula, right: Formula) -> Option<Formula> {
        const NEVER: Formula = Formula::NEVER;
        const ALWAYS: Formula = Formula::ALWAYS;
        match (operation, left, right) {
            (Operation::And | Operation::Or, _, _) if left == right => Some(left),
            (Operation::And, NEVER, _) | (Operation::And, _, NEVER) => Some(NEVER),
            (Operation::And, ALWAYS, other) | (Operation::And, other, ALWAYS) => Some(other),
            (Operation::Or, ALWAYS, _) | (Operation::Or, _, ALWAYS) => Some(ALWAYS),
            (Operation::Or, NEVER, other) | (Operation::Or, other, NEVER) => Some(other),
            (Operation::Except, NEVER, _) | (Operation::Except, _, ALWAYS) => Some(NEVER),
            (Operation::Except, _, NEVER) => Some(left),
            (Operation::Except, _, _) if left == right => Some(NEVER),
            _ => self.results.get(&key(operation, left, right)).copied(),
        }
    }

    /// What is left of a formula when the variable holds, and when it does not.
    fn split(&self, formula: Formula, variable: u32) -> (Formula, Formula) {
        let test = self.at(formula);
        if test.variable == variable { (test.holds, test.fails) } else { (formula, formula) }
    }

    fn test(&mut self, test: Test) -> Formula {
        if test.holds == test.fails {
            return test.holds;
        }
        if let Some(formula) = self.made.get(&test) {
            return *formula;
        }
        // The bound on steps and one variable an edge keep this far below the end of the range.
        let formula = Formula(u32::try_from(self.tests.len()).unwrap_or(u32::MAX));
        self.tests.push(test);
        self.made.insert(test, formula);
        formula
    }

    fn at(&self, formula: Formula) -> Test {
        self.tests.get(formula.0 as usize).copied().unwrap_or(CONSTANT)
    }
}

/// The order of the two does not matter, except to `Except`.
fn key(operation: Operation, left: Formula, right: Formula) -> (Operation, Formula, Formula) {
    if operation != Operation::Except && right < left {
        (operation, right, left)
    } else {
        (operation, left, right)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_formulas_are_one() {
        let mut all = Formulas::new();
        let (_, a, not_a) = all.variable();
        let (_, b, not_b) = all.variable();
        assert_eq!(all.and(a, not_a), Some(Formula::NEVER));
        assert_eq!(all.or(a, not_a), Some(Formula::ALWAYS));
        // not (a and b) = not a or not b
        let both = all.and(a, b).unwrap();
        let left = all.except(Formula::ALWAYS, both);
        assert_eq!(left, all.or(not_a, not_b));
        // (a and b) or (a and not b) = a
        let one = all.and(not_b, a).unwrap();
        assert_eq!(all.or(both, one), Some(a));
        assert_eq!(all.except(both, a), Some(Formula::NEVER));
    }

    #[test]
    fn at_least_counts() {
        let mut all = Formulas::new();
        let (_, a, _) = all.variable();
        let (_, b, _) = all.variable();
        let (_, c, _) = all.variable();
        let ab = all.and(a, b).unwrap();
        let bc = all.and(b, c).unwrap();
        let ac = all.and(a, c).unwrap();
        let two = all.or(ab, bc).and_then(|it| all.or(it, ac));
        assert_eq!(all.at_least(2, &[a, b, c]), two);
        assert_eq!(all.at_least(3, &[a, b, c, Formula::ALWAYS, Formula::NEVER]), two);
        assert_eq!(all.at_least(0, &[a]), Some(Formula::ALWAYS));
        assert_eq!(all.at_least(2, &[a]), Some(Formula::NEVER));
        assert_eq!(all.at_least(2, &[a, a, a]), Some(a));
    }

    #[test]
    fn an_example_is_as_short_as_can_be() {
        let mut all = Formulas::new();
        let (first, a, _) = all.variable();
        let (second, b, not_b) = all.variable();
        let (third, c, _) = all.variable();
        let either = all.and(a, not_b).and_then(|it| all.or(it, c)).unwrap();
        assert_eq!(all.example(either), [(third, true)]);
        let neither = all.except(either, c).unwrap();
        assert_eq!(all.example(neither), [(first, true), (second, false), (third, false)]);
        assert_eq!(all.example(Formula::NEVER), []);
        assert_eq!(all.example(Formula::ALWAYS), []);
        assert_eq!(all.example(b), [(second, true)]);
    }

    #[test]
    fn what_grows_too_large_is_not_known() {
        let mut all = Formulas::new();
        let variables: Vec<Formula> = (0..10_000).map(|_| all.variable().1).collect();
        assert_eq!(all.at_least(5_000, &variables), None);
        // What needs no steps is still answered.
        assert_eq!(all.and(Formula::ALWAYS, Formula::NEVER), Some(Formula::NEVER));
    }

    #[test]
    fn deep_diagrams_need_no_stack() {
        let mut all = Formulas::new();
        let variables: Vec<Formula> = (0..100_000).map(|_| all.variable().1).collect();
        let even = variables.iter().step_by(2).try_fold(Formula::ALWAYS, |sum, it| all.and(sum, *it));
        let odd = variables.iter().skip(1).step_by(2).try_fold(Formula::ALWAYS, |sum, it| all.and(sum, *it));
        let both = all.and(even.unwrap(), odd.unwrap()).unwrap();
        assert_eq!(all.example(both).len(), 100_000);
    }
}
