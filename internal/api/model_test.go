package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// This file reads the service model for the tests independently, so that they find
// errors of the generator and of the shapes that it made.

type model struct {
	Operations map[string]struct {
		Input, Output struct{ Shape string }
		Errors        []struct{ Shape string }
	}
	Shapes map[string]*modelShape
}

type modelShape struct {
	Type    string
	Members map[string]struct {
		Shape string
	}
	Required           []string
	Member, Key, Value struct{ Shape string }
	Enum               []string
	Pattern            string
	Min, Max           *int64
}

var theModel = func() *model {
	text, err := os.ReadFile("../athena/model-2017-05-18.json")
	if err != nil {
		panic(err)
	}
	var m model
	if err := json.Unmarshal(text, &m); err != nil {
		panic(err)
	}
	return &m
}()

func (m *model) shape(name string) *modelShape { return m.Shapes[name] }

// mayAnswer reports whether the model lists an error for an operation.
func (m *model) mayAnswer(operation, exception string) bool {
	for _, e := range m.Operations[operation].Errors {
		if e.Shape == exception {
			return true
		}
	}
	return false
}

// obeys checks a JSON text against an output shape: the types, that nothing
// is there which the model does not have, and the constraints.
func (m *model) obeys(shape string, text []byte) error {
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return err
	}
	return errors.Join(m.violations(shape, shape, v)...)
}

func (m *model) violations(at, name string, v any) (all []error) {
	s := m.shape(name)
	wrong := func(format string, args ...any) { all = append(all, fmt.Errorf(at+": "+format, args...)) }
	length := int64(-1)
	switch s.Type {
	case "structure":
		got, ok := v.(map[string]any)
		if !ok {
			wrong("%T where %s belongs", v, name)
			return all
		}
		for _, r := range s.Required {
			if _, ok := got[r]; !ok {
				wrong("%s is missing", r)
			}
		}
		for member, value := range got {
			if ref, ok := s.Members[member]; ok {
				all = append(all, m.violations(at+"."+member, ref.Shape, value)...)
			} else {
				wrong("%s is no member of %s", member, name)
			}
		}
	case "list":
		got, ok := v.([]any)
		if !ok {
			wrong("%T where a list belongs", v)
		}
		length = int64(len(got))
		for i, e := range got {
			all = append(all, m.violations(fmt.Sprintf("%s[%d]", at, i), s.Member.Shape, e)...)
		}
	case "map":
		got, ok := v.(map[string]any)
		if !ok {
			wrong("%T where a map belongs", v)
		}
		length = int64(len(got))
		for k, e := range got {
			all = append(all, m.violations(at+" key", s.Key.Shape, k)...)
			all = append(all, m.violations(at+"."+k, s.Value.Shape, e)...)
		}
	case "string":
		got, ok := v.(string)
		if !ok {
			wrong("%T where a string belongs", v)
			return all
		}
		length = int64(utf8.RuneCountInString(got))
		if s.Enum != nil && !slices.Contains(s.Enum, got) {
			wrong("%q is not one of %v", got, s.Enum)
		}
		// What RE2 does not take are the classes of all XML characters.
		if re, err := regexp.Compile("^(?:" + s.Pattern + ")$"); err == nil && s.Pattern != "" && !re.MatchString(got) {
			wrong("%q does not match %s", got, s.Pattern)
		}
	case "integer", "long":
		got, ok := v.(json.Number)
		n, err := got.Int64()
		if !ok || err != nil {
			wrong("%v where an integer belongs", v)
		}
		length = n
	case "timestamp":
		got, ok := v.(json.Number)
		if at, err := got.Float64(); !ok || err != nil || at < 9e8 || at > 9e9 {
			wrong("%v where seconds since the epoch belong", v)
		}
	case "boolean":
		if _, ok := v.(bool); !ok {
			wrong("%T where a boolean belongs", v)
		}
	default:
		wrong("unknown type %s", s.Type)
	}
	if s.Min != nil && length < *s.Min || s.Max != nil && length > *s.Max {
		wrong("%d is out of bounds", length)
	}
	return all
}
