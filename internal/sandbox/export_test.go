package sandbox

// Listed is listed, for the tests.
var Listed = listed
