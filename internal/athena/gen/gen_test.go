package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestGeneratedFilesAreWhatTheModelGives(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", modelFile))
	if err != nil {
		t.Fatal(err)
	}
	files, err := generate(text)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join("..", name))
		if err != nil || string(got) != string(want) {
			t.Errorf("%s differs (%v): run go generate ./internal/athena", name, err)
		}
	}
	there, err := filepath.Glob(filepath.Join("..", "*_gen.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range there {
		if files[filepath.Base(path)] == nil {
			t.Errorf("%s is generated from nothing: remove it", path)
		}
	}
}

func TestGenerateRefusesWhatItCannotExpress(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"no JSON":               `{`,
		"a missing shape":       `{"shapes":{"A":{"type":"list","member":{"shape":"B"}}}}`,
		"an unknown type":       `{"shapes":{"A":{"type":"structure","members":{"B":{"shape":"B"}}},"B":{"type":"set"}}}`,
		"a recursive input":     `{"operations":{"O":{"input":{"shape":"A"},"output":{"shape":"A"}}},"shapes":{"A":{"type":"structure","members":{"A":{"shape":"A"}}}}}`,
		"a timestamp coming in": `{"operations":{"O":{"input":{"shape":"A"},"output":{"shape":"A"}}},"shapes":{"A":{"type":"structure","members":{"T":{"shape":"T"}}},"T":{"type":"timestamp"}}}`,
		"a pattern beyond RE2":  `{"operations":{"O":{"input":{"shape":"A"},"output":{"shape":"A"}}},"shapes":{"A":{"type":"structure","members":{"T":{"shape":"T"}}},"T":{"type":"string","pattern":"(?!a)b"}}}`,
	} {
		if _, err := generate([]byte(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestRE2KeepsJavasClasses(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]string{
		`^[.a]\..$`: `^[.a]\.[^\n\r\x{85}\x{2028}\x{2029}]$`,
		`\S+\\S`:    `[^ \t\n\x0b\f\r]+\\S`,
	} {
		if got, err := re2(pattern); err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", pattern, got, err, want)
		}
	}
}
