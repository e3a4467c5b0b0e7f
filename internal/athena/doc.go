// Package athena is the wire shape of Amazon Athena's API: the types of every
// operation's input, output and errors, the constraints on inputs, and the
// table of operations. All of it that ends in _gen.go is generated from
// model-2017-05-18.json by the program in gen.
//
// Scalars and structures are pointers, so that absent differs from zero;
// Go's new(value) makes them. Lists and maps are absent when nil and written
// as [] and {} when empty. An Integer of the model is an int, a Long an int64.
package athena

//go:generate go run ./gen
