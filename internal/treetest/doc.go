// Package treetest holds the tests that check the tree itself: who imports whom, that exported names are documented,
// that files are formatted and small, that tests neither sleep nor skip silently, and that the README's commands run.
// It has no code of its own.
//
// Each rule is a function over parsed files, so each has a test that feeds it a seeded fault beside the test that feeds
// it the tree. To let a file off a rule, add it to that rule's table of exceptions with the reason.
//
// # Limits
//
// The rules read source text; they do not type-check. A rule about an import sees the import's path, not what is done
// with it.
package treetest
