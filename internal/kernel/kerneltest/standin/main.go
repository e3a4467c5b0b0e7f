// Command standin is the stand-in kernel as a program of its own, for servers
// of `make chaos`.
package main

import "github.com/ergane-dev/ergane/internal/kernel/kerneltest"

func main() { kerneltest.RunChild() }
