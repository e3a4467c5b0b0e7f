package athena

// A Subject is what a request is about: the names in its input, as far as it
// has them. SubjectOf finds them by the model's shapes, for the log and for
// whoever decides what a caller may do.
type Subject struct {
	WorkGroup   *string
	Session     *string
	Calculation *string
	Notebook    *string
}
