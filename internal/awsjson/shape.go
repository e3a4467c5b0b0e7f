package awsjson

import (
	"regexp"
	"sync"
)

// A Kind is the JSON form a Shape takes.
type Kind uint8

const (
	Structure Kind = iota
	List
	Map
	String
	Integer // 32 bits; a number out of range counts as the nearest one in range
	Long    // the same with 64 bits
	Boolean
)

// A Shape describes one input type: how to decode it and its constraints. Shapes
// are generated; they must not be changed or contain themselves.
//
// The Go types of the kinds are: a struct with one field per member in the order
// of Members (pointers for scalars and structures), a slice, a map, string, int,
// int64 and bool, or named types of these.
type Shape struct {
	Kind    Kind
	Members []Member   // of a Structure
	New     func() any // of a Structure that is an input: a pointer to a new Go value
	Key     *Shape     // of a Map, a String
	Element *Shape     // of a List; the value of a Map
	Min     Bound      // of a number's value; else of a length
	Max     Bound
	Pattern *Pattern // of a String
	Enum    []string // of a String
}

// A Member is one named part of a Structure.
type Member struct {
	Name     string // as on the wire; compared byte for byte
	Shape    *Shape
	Required bool
}

// A Bound is an inclusive limit; the zero Bound is no limit. The length of a
// string is counted in Unicode code points (as the Smithy specification defines
// the length trait), that of a list or map in elements.
type Bound struct {
	Set   bool
	Value int64
}

// A Pattern is a regular expression that a whole string has to match.
type Pattern struct {
	Text string // as the service model writes it; shown to clients
	// Expr is the same in RE2's syntax. It is compiled when first used.
	Expr string
	// Match is used instead of Expr if RE2 cannot express Text.
	Match func(string) bool

	once sync.Once
	re   *regexp.Regexp
}

// Matches reports whether the whole of s matches.
func (p *Pattern) Matches(s string) bool {
	if p.Match != nil {
		return p.Match(s)
	}
	p.once.Do(func() { p.re = regexp.MustCompile(`^(?:` + p.Expr + `)$`) })
	return p.re.MatchString(s)
}
