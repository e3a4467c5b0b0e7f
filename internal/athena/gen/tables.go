package main

import (
	"fmt"
	"slices"
	"strings"
)

// kinds maps the model's types to awsjson's. Inputs of other types cannot be
// decoded.
var kinds = map[string]string{
	"structure": "Structure", "list": "List", "map": "Map", "string": "String",
	"integer": "Integer", "long": "Long", "boolean": "Boolean",
}

// writeConstraints writes an awsjson.Shape for every shape that inputs are made of.
func writeConstraints(m *model, s *source) error {
	inputs, err := m.inputs()
	if err != nil {
		return err
	}
	s.begin(awsjsonPath)
	s.printf("\nvar (\n")
	for _, name := range inputs {
		sh := m.Shapes[name]
		kind, ok := kinds[sh.Type]
		if !ok {
			return fmt.Errorf("input shape %s has the type %q, which awsjson cannot decode", name, sh.Type)
		}
		s.printf("%s = awsjson.Shape{Kind: awsjson.%s", tableName(name), kind)
		writeBound(s, "Min", sh.Min)
		writeBound(s, "Max", sh.Max)
		if sh.Pattern != "" {
			s.printf(", Pattern: &%s", patternName(name))
		}
		if sh.Enum != nil {
			s.printf(", Enum: []string{%s}", quoted(sh.Enum))
		}
		switch sh.Type {
		case "list":
			s.printf(", Element: &%s", tableName(sh.Member.Shape))
		case "map":
			s.printf(", Key: &%s, Element: &%s", tableName(sh.Key.Shape), tableName(sh.Value.Shape))
		case "structure":
			s.printf(", New: func() any { return new(%s) }, Members: []awsjson.Member{\n", name)
			for _, member := range sh.members() {
				s.printf("{Name: %q, Shape: &%s", member, tableName(sh.Members[member].Shape))
				if slices.Contains(sh.Required, member) {
					s.printf(", Required: true")
				}
				s.printf("},\n")
			}
			s.printf("}")
		}
		s.printf("}\n")
	}
	s.printf(")\n")
	return writePatterns(m, s, inputs)
}

func writePatterns(m *model, s *source, inputs []string) error {
	s.printf("\nvar (\n")
	for _, name := range inputs {
		text := m.Shapes[name].Pattern
		if text == "" {
			continue
		}
		s.printf("%s = awsjson.Pattern{Text: %q", patternName(name), text)
		if predicate, ok := predicates[text]; ok {
			s.printf(", Match: %s}\n", predicate)
			continue
		}
		expr, err := re2(text)
		if err != nil {
			return fmt.Errorf("pattern of %s: %w", name, err)
		}
		s.printf(", Expr: %q}\n", expr)
	}
	s.printf(")\n")
	return nil
}

// writeOperations writes the table of operations, and for each input the
// method by which Handle finds its operation and checks the pair of types.
func writeOperations(m *model, s *source) error {
	s.begin()
	s.printf("\n// Operations are all operations of the model, by name ascending.\nvar Operations = []*Operation{\n")
	for _, name := range m.operations() {
		s.printf("&operation%s,\n", name)
	}
	s.printf("}\n\nvar (\n")
	for _, name := range m.operations() {
		op := m.Operations[name]
		var errors []string
		for _, e := range op.Errors {
			errors = append(errors, e.Shape)
		}
		slices.Sort(errors)
		s.printf("operation%s = Operation{Name: %q, Input: &%s, Errors: []string{%s}}\n",
			name, name, tableName(op.Input.Shape), quoted(errors))
	}
	s.printf(")\n\n")
	seen := map[string]string{}
	for _, name := range m.operations() {
		op := m.Operations[name]
		if other, twice := seen[op.Input.Shape]; twice {
			return fmt.Errorf("operations %s and %s share the input %s", other, name, op.Input.Shape)
		}
		seen[op.Input.Shape] = name
		s.printf("func (*%s) operation(*%s) *Operation { return &operation%s }\n", op.Input.Shape, op.Output.Shape, name)
	}
	return nil
}

func writeBound(s *source, name string, value *int64) {
	if value != nil {
		s.printf(", %s: awsjson.Bound{Set: true, Value: %d}", name, *value)
	}
}

func quoted(values []string) string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = fmt.Sprintf("%q", v)
	}
	return strings.Join(out, ", ")
}

func tableName(shape string) string { return "shape" + shape }

func patternName(shape string) string { return "pattern" + shape }
