//go:build linux

package tree

var RemoveWithin = remove
