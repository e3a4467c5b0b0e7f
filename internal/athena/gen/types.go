package main

import "net/http"

func writeEnums(m *model, s *source) error {
	s.begin()
	for _, name := range m.names(func(sh *shape) bool { return sh.Enum != nil }) {
		s.printf("\ntype %s string\n\nconst (\n", name)
		for _, value := range m.Shapes[name].Enum {
			s.printf("%s%s %s = %q\n", name, goName(value), name, value)
		}
		s.printf(")\n")
	}
	return nil
}

func writeShapes(m *model, s *source) error {
	s.begin(awsjsonPath)
	for _, name := range m.names(func(sh *shape) bool { return sh.Type == "structure" && !sh.Exception }) {
		if err := writeStruct(m, s, name); err != nil {
			return err
		}
	}
	return nil
}

func writeStruct(m *model, s *source, name string) error {
	s.printf("\ntype %s struct {\n", name)
	for _, member := range m.Shapes[name].members() {
		t, err := m.field(m.Shapes[name].Members[member].Shape)
		if err != nil {
			return err
		}
		s.printf("%s %s `json:\"%s,omitzero\"`\n", member, t, member)
	}
	s.printf("}\n")
	return nil
}

// writeErrors writes the modelled errors, each with a method Wire that makes the answer.
func writeErrors(m *model, s *source) error {
	s.begin(awsjsonPath)
	for _, name := range m.names(func(sh *shape) bool { return sh.Exception }) {
		sh := m.Shapes[name]
		if err := writeStruct(m, s, name); err != nil {
			return err
		}
		status := http.StatusBadRequest
		if sh.Fault {
			status = http.StatusInternalServerError
		}
		s.printf("\n// Wire returns the error as it goes over the wire.\n")
		s.printf("func (e %s) Wire() *awsjson.Error {\n", name)
		s.printf("out := &awsjson.Error{Type: %q, Status: %d, Members: map[string]string{}}\n", name, status)
		for _, member := range sh.members() {
			s.printf("if e.%s != nil {\n", member)
			if member == "Message" {
				s.printf("out.Message = *e.Message\n}\n")
			} else {
				s.printf("out.Members[%q] = string(*e.%s)\n}\n", member, member)
			}
		}
		s.printf("return out\n}\n")
	}
	return nil
}
