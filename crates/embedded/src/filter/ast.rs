//! The tree of an expression as written, before anything is known of the collection.

use std::ops::Range;

/// A node, where it stands, and how deep the tree below it is. The parser bounds the depth, so that walking and dropping a
/// tree can recurse.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Expr {
    pub(super) kind: ExprKind,
    pub(super) span: Range<usize>,
    pub(super) depth: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum ExprKind {
    Bool(bool),
    Integer(u64),
    Float(f64),
    Text(String),
    List(Vec<Expr>),
    /// `{name}`
    Template(String),
    Column(ColumnRef),
    Unary(UnaryOp, Box<Expr>),
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    /// `value in list`, negated for `not in`
    In {
        value: Box<Expr>,
        list: Box<Expr>,
        negated: bool,
    },
    /// `lower < column <= upper`, already turned round for `>`
    Range {
        column: Box<Expr>,
        lower: Box<Expr>,
        lower_inclusive: bool,
        upper: Box<Expr>,
        upper_inclusive: bool,
    },
    Exists(Box<Expr>),
    IsNull {
        column: Box<Expr>,
        negated: bool,
    },
    /// `column ± interval 'duration' op iso 'instant'`, turned round where the instant stood first
    Instant {
        column: Box<Expr>,
        interval: Option<(Sign, String, Range<usize>)>,
        op: CompareOp,
        instant: (String, Range<usize>),
    },
    /// Name in lower case, arguments, and `option = value`
    Call {
        name: String,
        arguments: Vec<Expr>,
        option: Option<(String, Box<Expr>)>,
    },
}

/// `name`, `$meta`, `name["k"][0]`, `structs[member]`, and, by the name `$`, `$[member]`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ColumnRef {
    pub(super) name: String,
    pub(super) path: Vec<Subscript>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Subscript {
    Key(String),
    Index(u64),
    /// A name without quotes: a member of a struct.
    Member(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UnaryOp {
    Plus,
    Minus,
    Not,
    /// `~`, which is parsed and then rejected
    BitNot,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    Plus,
    Minus,
}

/// The six comparisons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CompareOp {
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Equal,
    NotEqual,
}

impl CompareOp {
    /// The comparison with its sides exchanged.
    pub(super) fn mirrored(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessEqual => Self::GreaterEqual,
            Self::Greater => Self::Less,
            Self::GreaterEqual => Self::LessEqual,
            same => same,
        }
    }

    /// Whether an ordering satisfies the comparison; `None` (NaN) satisfies only `!=`.
    pub(super) fn accepts(self, ordering: Option<std::cmp::Ordering>) -> bool {
        use std::cmp::Ordering::{Equal, Greater, Less};
        match self {
            Self::Less => ordering == Some(Less),
            Self::LessEqual => matches!(ordering, Some(Less | Equal)),
            Self::Greater => ordering == Some(Greater),
            Self::GreaterEqual => matches!(ordering, Some(Greater | Equal)),
            Self::Equal => ordering == Some(Equal),
            Self::NotEqual => ordering != Some(Equal),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ArithmeticOp {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BinaryOp {
    Like,
    RegexMatch,
    RegexNotMatch,
    Power,
    Arithmetic(ArithmeticOp),
    Compare(CompareOp),
    /// `<< >> & ^ |`, which are parsed and then rejected
    Bitwise(&'static str),
}
