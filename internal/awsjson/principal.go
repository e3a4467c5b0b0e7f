package awsjson

// A PrincipalKind is one of the kinds of callers.
type PrincipalKind string

const (
	// PrincipalRoot may do everything.
	PrincipalRoot PrincipalKind = "root"
	// PrincipalRole is an execution role that the operator configured; Name is its ARN.
	PrincipalRole PrincipalKind = "role"
	// PrincipalSession is the code of a session; Name is the session's id.
	PrincipalSession PrincipalKind = "session"
)

// A Principal is whom an access key speaks for.
type Principal struct {
	Kind PrincipalKind
	Name string // empty for root
}

// String is the principal's name in log lines.
func (p Principal) String() string {
	if p.Name == "" {
		return string(p.Kind)
	}
	return string(p.Kind) + " " + p.Name
}

// A Key is what is known of an access key.
type Key struct {
	Secret string
	For    Principal
}
