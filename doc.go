// Package ergane is the domain: sessions, calculations, executors and
// workgroups, the states that they go through and the legal moves between
// these, and what the other packages must do for it (Store). It imports
// nothing but the standard library; docs/architecture.md is the map of the rest.
package ergane
