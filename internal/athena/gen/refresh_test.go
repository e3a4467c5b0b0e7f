package main

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAModelIsTakenFromAWheelWithoutItsDocumentation(t *testing.T) {
	t.Parallel()
	const (
		service = `{"documentation": "<p>all</p>", "version": "2.0", "metadata": {"b": 1, "a": "<&>"}, "operations": {"Start": {"documentation": "x", "name": "Start"}},
			"shapes": {"Doc": {"members": {"documentation": {"shape": "String", "documentation": "y"}}, "errors": [{"documentation": "z"}]}}}`
		want = `{"metadata":{"a":"<&>","b":1},"operations":{"Start":{"name":"Start"}},"pagination":{"List":{}},` +
			`"shapes":{"Doc":{"errors":[{}],"members":{"documentation":{"shape":"String"}}}}}`
	)
	for name, packed := range map[string]bool{"plain": false, "compressed": true} {
		got, err := modelOf(wheelOf(t, packed, service, `{"pagination": {"List": {}}}`))
		if compact := strings.NewReplacer("\n", "", " ", "").Replace(string(got)); err != nil || compact != want {
			t.Errorf("%s: %s, %v", name, compact, err)
		}
	}
	if _, err := modelOf(wheelOf(t, true, `{"metadata": {}}`, `{"pagination": {}}`)); err == nil || !strings.HasPrefix(err.Error(), "it has no ") {
		t.Errorf("without operations: %v", err)
	}
	if _, err := modelOf(wheelOf(t, false, "", `{}`)); err == nil {
		t.Error("an empty file is a model")
	}
}

func wheelOf(t *testing.T, packed bool, service, paginators string) string {
	t.Helper()
	var text bytes.Buffer
	wheel := zip.NewWriter(&text)
	for name, content := range map[string]string{serviceFile: service, paginatorsFile: paginators} {
		body := []byte(content)
		if packed && name == serviceFile {
			var b bytes.Buffer
			w := gzip.NewWriter(&b)
			w.Write(body)
			w.Close()
			name, body = name+".gz", b.Bytes()
		}
		file, err := wheel.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		file.Write(body)
	}
	if err := wheel.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "botocore.whl")
	if err := os.WriteFile(path, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
