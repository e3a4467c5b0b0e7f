package awsjson

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxViolations is how many violated constraints a message lists at most.
const maxViolations = 50

// A ValidationError says which constraints an input violates, in AWS's words.
// The service decides which of its modelled errors it becomes.
type ValidationError struct{ Message string }

func (e *ValidationError) Error() string { return e.Message }

// validate checks v, a struct of the shape, member by member in the model's
// order. The error is a *ValidationError or nil.
func validate(shape *Shape, v reflect.Value) error {
	var c checker
	c.structure(nil, shape, v)
	switch c.count {
	case 0:
		return nil
	case 1:
		return &ValidationError{"1 validation error detected: " + c.found[0]}
	default:
		return &ValidationError{fmt.Sprintf("%d validation errors detected: %s", c.count, strings.Join(c.found, "; "))}
	}
}

type checker struct {
	found []string // the first maxViolations of them
	count int
}

func (c *checker) violation(p *path, value, constraint string) {
	c.count++
	if len(c.found) < maxViolations {
		c.found = append(c.found, value+" at '"+p.String()+"' failed to satisfy constraint: "+constraint)
	}
}

func (c *checker) structure(parent *path, shape *Shape, v reflect.Value) {
	for i := range shape.Members {
		m, field := &shape.Members[i], v.Field(i)
		p := &path{parent: parent, name: m.Name}
		switch {
		case !field.IsNil():
			if field.Kind() == reflect.Pointer {
				field = field.Elem()
			}
			c.value(p, m.Shape, field)
		case m.Required:
			c.violation(p, "Value null", "Member must not be null")
		}
	}
}

func (c *checker) value(p *path, shape *Shape, v reflect.Value) {
	switch shape.Kind {
	case Structure:
		c.structure(p, shape, v)
		return
	case List:
		c.list(p, shape, v)
	case Map:
		c.mapping(p, shape, v)
	}
	for _, broken := range shape.broken(v) {
		c.violation(p, "Value", broken)
	}
}

func (c *checker) list(p *path, shape *Shape, v reflect.Value) {
	if shape.Element.scalar() {
		for _, e := range v.Seq2() {
			if shape.Element.broken(e) != nil {
				c.violation(p, "Value", "Member must satisfy constraint: "+shape.Element.constraints())
				return
			}
		}
		return
	}
	for i := range v.Len() {
		c.value(&path{parent: p, index: i + 1}, shape.Element, v.Index(i))
	}
}

func (c *checker) mapping(p *path, shape *Shape, v reflect.Value) {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	badKey, badValue := false, false
	for _, k := range keys {
		badKey = badKey || shape.Key.broken(k) != nil
		if shape.Element.scalar() {
			badValue = badValue || shape.Element.broken(v.MapIndex(k)) != nil
		} else {
			c.value(&path{parent: p, key: k.String()}, shape.Element, v.MapIndex(k))
		}
	}
	if badKey {
		c.violation(p, "Value", "Map keys must satisfy constraint: "+shape.Key.constraints())
	}
	if badValue {
		c.violation(p, "Value", "Map value must satisfy constraint: "+shape.Element.constraints())
	}
}

func (s *Shape) scalar() bool { return s.Kind != Structure && s.Kind != List && s.Kind != Map }

// broken returns the shape's own constraints that v violates, as sentences.
func (s *Shape) broken(v reflect.Value) (sentences []string) {
	if s.Pattern != nil && !s.Pattern.Matches(v.String()) {
		sentences = append(sentences, s.patternSentence())
	}
	if s.Min.Set || s.Max.Set {
		n := s.measure(v)
		if s.Max.Set && n > s.Max.Value {
			sentences = append(sentences, s.maxSentence())
		}
		if s.Min.Set && n < s.Min.Value {
			sentences = append(sentences, s.minSentence())
		}
	}
	if s.Enum != nil && !slices.Contains(s.Enum, v.String()) {
		sentences = append(sentences, s.enumSentence())
	}
	return sentences
}

// constraints lists all constraints of a scalar, in the order in which AWS
// lists those of a collection's elements.
func (s *Shape) constraints() string {
	var all []string
	if s.Max.Set {
		all = append(all, s.maxSentence())
	}
	if s.Min.Set {
		all = append(all, s.minSentence())
	}
	if s.Pattern != nil {
		all = append(all, s.patternSentence())
	}
	if s.Enum != nil {
		all = append(all, s.enumSentence())
	}
	return "[" + strings.Join(all, ", ") + "]"
}

// measure returns what the shape's bounds apply to.
func (s *Shape) measure(v reflect.Value) int64 {
	switch s.Kind {
	case Integer, Long:
		return v.Int()
	case String:
		return int64(utf8.RuneCountInString(v.String()))
	default:
		return int64(v.Len())
	}
}

func (s *Shape) measured() string {
	if s.Kind == Integer || s.Kind == Long {
		return "value"
	}
	return "length"
}

func (s *Shape) maxSentence() string {
	return "Member must have " + s.measured() + " less than or equal to " + strconv.FormatInt(s.Max.Value, 10)
}

func (s *Shape) minSentence() string {
	return "Member must have " + s.measured() + " greater than or equal to " + strconv.FormatInt(s.Min.Value, 10)
}

func (s *Shape) patternSentence() string {
	return "Member must satisfy regular expression pattern: " + s.Pattern.Text
}

func (s *Shape) enumSentence() string {
	return "Member must satisfy enum value set: [" + strings.Join(s.Enum, ", ") + "]"
}

// A path leads from the input to a value, as AWS writes it:
// lowerCamel names, list elements as N.member counted from 1, map values as
// <key>.member.
type path struct {
	parent *path
	name   string
	index  int
	key    string
}

func (p *path) String() string {
	var step string
	switch {
	case p.name != "":
		step = strings.ToLower(p.name[:1]) + p.name[1:]
	case p.index > 0:
		step = strconv.Itoa(p.index) + ".member"
	default:
		step = p.key + ".member"
	}
	if p.parent == nil {
		return step
	}
	return p.parent.String() + "." + step
}
