package engine

// Keys of log lines.
const (
	keyEngine = "engine"
	keyStep   = "step"
	keyTook   = "took"
	keyError  = "error"
)
