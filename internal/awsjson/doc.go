// Package awsjson is the protocol edge: AWS JSON 1.1 over HTTP with Signature
// Version 4. It verifies who calls, finds the operation, decodes and validates
// its input against a shape, and writes answers and errors as AWS does. It
// knows no service: the operations, their shapes and the meaning of errors are
// given to it.
//
// A request passes, in this order: method and content type, operation, the
// signature's claim (everything that can be judged without the body), the
// body under a cap, the signature itself over the body as it was sent,
// decompression, JSON types, constraints, the operation. Nobody unknown can
// make the server hold a body or parse one.
package awsjson
