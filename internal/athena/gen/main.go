// Program gen writes the _gen.go files of package athena from the service
// model. Run it by go generate in the package's folder. With -refresh PYTHON it
// first takes the model from the newest botocore that PYTHON's pip downloads.
package main

import (
	"flag"
	"fmt"
	"os"
)

const modelFile = "model-2017-05-18.json"

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run() error {
	python := flag.String("refresh", "", "a Python whose pip downloads the newest model")
	flag.Parse()
	if *python != "" {
		if err := refresh(*python); err != nil {
			return err
		}
	}
	text, err := os.ReadFile(modelFile)
	if err != nil {
		return err
	}
	files, err := generate(text)
	if err != nil {
		return err
	}
	for name, code := range files {
		if err := os.WriteFile(name, code, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// generate returns the files, by name, for the model with the given text.
func generate(text []byte) (map[string][]byte, error) {
	m, err := readModel(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", modelFile, err)
	}
	files := map[string][]byte{}
	for name, write := range map[string]func(*model, *source) error{
		"enums_gen.go":       writeEnums,
		"shapes_gen.go":      writeShapes,
		"errors_gen.go":      writeErrors,
		"constraints_gen.go": writeConstraints,
		"operations_gen.go":  writeOperations,
		"subjects_gen.go":    writeSubjects,
	} {
		var s source
		if err := write(m, &s); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		code, err := s.formatted()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		files[name] = code
	}
	return files, nil
}
