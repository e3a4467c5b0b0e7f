package kernel

import "errors"

// docs/kernel-protocol.md describes what is sent over the socket and which files
// there are; TestTheDocumentSaysWhatTheServerSpeaks compares it
// with this package, and kernel/tests/test_document.py with the kernel.

// protocolVersion is the version of every order, answer and document. The
// kernel has its own constant, PROTOCOL in kernel/src/ergane_kernel/__init__.py.
const protocolVersion = 1

var errVersion = errors.New("it has another version")

// An order is one line to the kernel. Which fields an operation takes is in the document.
type order struct {
	Op string `json:"op"`
	N  int64  `json:"n"` // the order's number, which its answer repeats; set by the link

	V     int    `json:"v,omitzero"`
	Token string `json:"token,omitzero"`
	Epoch int64  `json:"epoch,omitzero"`

	ID     string `json:"id,omitzero"`     // of a calculation
	Strike bool   `json:"strike,omitzero"` // of an interrupt: the next signal is for the code
}
