package main

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// What botocore's package has of Athena: the model, and which operations have pages.
const (
	serviceFile    = "botocore/data/athena/2017-05-18/service-2.json"
	paginatorsFile = "botocore/data/athena/2017-05-18/paginators-1.json"
)

// refresh writes modelFile again, from the newest botocore that pip finds.
func refresh(python string) error {
	dir, err := os.MkdirTemp("", "athena-model-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	pip := exec.Command(python, "-m", "pip", "--disable-pip-version-check", "--quiet", "download", "--no-deps", "--only-binary", ":all:", "--dest", dir, "botocore")
	pip.Stdout, pip.Stderr = os.Stderr, os.Stderr
	if err := pip.Run(); err != nil {
		return fmt.Errorf("download botocore: %w", err)
	}
	wheels, err := filepath.Glob(filepath.Join(dir, "*.whl"))
	if err != nil {
		return err
	}
	if len(wheels) != 1 {
		return fmt.Errorf("pip downloaded %d wheels of botocore", len(wheels))
	}
	text, err := modelOf(wheels[0])
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(wheels[0]), err)
	}
	return os.WriteFile(modelFile, text, 0o644)
}

// modelOf is the model in a wheel of botocore, without its documentation.
func modelOf(wheel string) ([]byte, error) {
	archive, err := zip.OpenReader(wheel)
	if err != nil {
		return nil, err
	}
	defer archive.Close()
	var service, paginators map[string]any
	if err := errors.Join(readJSON(&archive.Reader, serviceFile, &service), readJSON(&archive.Reader, paginatorsFile, &paginators)); err != nil {
		return nil, err
	}
	model := map[string]any{
		"metadata": service["metadata"], "operations": service["operations"],
		"pagination": paginators["pagination"], "shapes": service["shapes"],
	}
	for name, part := range model {
		if part == nil {
			return nil, fmt.Errorf("it has no %s", name)
		}
	}
	withoutDocumentation(model)
	var text bytes.Buffer
	write := json.NewEncoder(&text)
	write.SetEscapeHTML(false)
	write.SetIndent("", " ")
	err = write.Encode(model) // its keys in order
	return text.Bytes(), err
}

// readJSON reads a file of the archive, which may be compressed once more.
func readJSON(archive *zip.Reader, name string, into any) error {
	file, err := archive.Open(name)
	if err == nil {
		defer file.Close()
		return json.NewDecoder(file).Decode(into)
	}
	packed, err := archive.Open(name + ".gz")
	if err != nil {
		return err
	}
	defer packed.Close()
	plain, err := gzip.NewReader(packed)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	text, err := io.ReadAll(plain)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return json.Unmarshal(text, into)
}

// withoutDocumentation removes every text that is called documentation; a member
// of that name is an object and stays.
func withoutDocumentation(value any) {
	switch value := value.(type) {
	case map[string]any:
		if _, ok := value["documentation"].(string); ok {
			delete(value, "documentation")
		}
		for _, part := range value {
			withoutDocumentation(part)
		}
	case []any:
		for _, part := range value {
			withoutDocumentation(part)
		}
	}
}
