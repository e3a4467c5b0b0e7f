package main

import "slices"

// subjects are the shapes of names and ids, with the field of Subject that each fills.
var subjects = map[string]string{
	"WorkGroupName": "WorkGroup", "SessionId": "Session", "CalculationExecutionId": "Calculation", "NotebookId": "Notebook",
}

// writeSubjects writes the function that finds what an input is about. An input
// with two members of one such shape would name two things; no operation has one.
func writeSubjects(m *model, s *source) error {
	s.begin()
	s.printf("\n// SubjectOf is what the input of an operation is about.\nfunc SubjectOf(in any) Subject {\nswitch in := in.(type) {\n")
	for _, name := range m.operations() {
		input := m.Operations[name].Input.Shape
		sh := m.Shapes[input]
		var fields []string
		for _, member := range sh.members() {
			if field, ok := subjects[sh.Members[member].Shape]; ok {
				fields = append(fields, field+": in."+member)
			}
		}
		if len(fields) == 0 {
			continue
		}
		slices.Sort(fields)
		s.printf("case *%s:\nreturn Subject{", input)
		for i, f := range fields {
			if i > 0 {
				s.printf(", ")
			}
			s.printf("%s", f)
		}
		s.printf("}\n")
	}
	s.printf("}\nreturn Subject{}\n}\n")
	return nil
}
