package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// model is what the generator needs of a botocore service model.
type model struct {
	Operations map[string]operation
	Shapes     map[string]*shape
}

type operation struct {
	Input, Output ref
	Errors        []ref
}

type ref struct{ Shape string }

type shape struct {
	Type      string
	Members   map[string]ref
	Required  []string
	Member    ref // of a list
	Key       ref // of a map
	Value     ref
	Enum      []string
	Pattern   string
	Min, Max  *int64
	Exception bool
	Fault     bool
}

func readModel(text []byte) (*model, error) {
	var m model
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, err
	}
	for name, s := range m.Shapes {
		for _, r := range s.refs() {
			if m.Shapes[r.Shape] == nil {
				return nil, fmt.Errorf("shape %s refers to %q, which is missing", name, r.Shape)
			}
		}
	}
	return &m, nil
}

// refs returns every reference to another shape.
func (s *shape) refs() []ref {
	out := slices.Collect(maps.Values(s.Members))
	for _, r := range []ref{s.Member, s.Key, s.Value} {
		if r.Shape != "" {
			out = append(out, r)
		}
	}
	return out
}

// members returns the names of a structure's members in ascending order, which
// is the order in the model and that of the fields of the Go struct.
func (s *shape) members() []string { return slices.Sorted(maps.Keys(s.Members)) }

// names returns the names of the shapes that ok accepts, in ascending order.
func (m *model) names(ok func(*shape) bool) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(m.Shapes)) {
		if ok(m.Shapes[name]) {
			out = append(out, name)
		}
	}
	return out
}

// operations returns the operations' names in ascending order.
func (m *model) operations() []string { return slices.Sorted(maps.Keys(m.Operations)) }

// inputs returns the names of the shapes that inputs are made of, ascending.
func (m *model) inputs() ([]string, error) {
	found := map[string]bool{}
	var visit func(name string, above []string) error
	visit = func(name string, above []string) error {
		if slices.Contains(above, name) {
			return fmt.Errorf("input shape %s contains itself", name)
		}
		found[name] = true
		for _, r := range m.Shapes[name].refs() {
			if err := visit(r.Shape, append(above, name)); err != nil {
				return err
			}
		}
		return nil
	}
	for _, op := range m.Operations {
		if err := visit(op.Input.Shape, nil); err != nil {
			return nil, err
		}
	}
	return slices.Sorted(maps.Keys(found)), nil
}

// element returns the Go type of a value of the shape in a list or a map.
func (m *model) element(name string) (string, error) {
	s := m.Shapes[name]
	switch s.Type {
	case "structure":
		return name, nil
	case "string":
		if s.Enum != nil {
			return name, nil
		}
		return "string", nil
	case "integer":
		return "int", nil
	case "long":
		return "int64", nil
	case "boolean":
		return "bool", nil
	case "double":
		return "float64", nil
	case "timestamp":
		return "awsjson.Timestamp", nil
	case "list":
		e, err := m.element(s.Member.Shape)
		return "[]" + e, err
	case "map":
		k, err := m.element(s.Key.Shape)
		if err != nil {
			return "", err
		}
		v, err := m.element(s.Value.Shape)
		return "map[" + k + "]" + v, err
	}
	return "", fmt.Errorf("shape %s has the unknown type %q", name, s.Type)
}

// field returns the Go type of a member of the shape.
func (m *model) field(name string) (string, error) {
	t, err := m.element(name)
	switch m.Shapes[name].Type {
	case "list", "map", "timestamp": // their zero value means absent
		return t, err
	}
	return "*" + t, err
}

// goName makes an exported Go name of an enum's value: SSE_S3 gives SseS3.
func goName(value string) string {
	var out strings.Builder
	for word := range strings.FieldsFuncSeq(value, func(r rune) bool { return r == '_' || r == '-' || r == ' ' }) {
		out.WriteString(strings.ToUpper(word[:1]) + strings.ToLower(word[1:]))
	}
	return out.String()
}
