// Package awsjson is the protocol edge: AWS JSON 1.1 over HTTP with Signature
// Version 4. It verifies the caller, finds the operation, decodes and validates
// its input against a shape, and writes answers and errors as AWS does. It is
// independent of the service: operations, shapes and the mapping of errors are
// its configuration.
//
// A request is processed in this order: method and content type, operation, the
// signature's claim (all that can be checked without the body), the body, up to
// MaxBody, the signature itself over the body as it was sent, decompression, JSON
// types, constraints, the operation. So only the bodies of known keys are kept in
// memory, and only those of verified callers are parsed.
package awsjson
