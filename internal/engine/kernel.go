package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// extractKernel copies the source into a folder that is named by its content and
// returns the folder, which exists only when it is complete. So a newer Ergane
// uses its own kernel with an engine that an older one installed; running
// sessions keep theirs.
func extractKernel(source fs.FS, dir string) (string, error) {
	sum := sha256.New()
	err := fs.WalkDir(source, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := fs.ReadFile(source, name)
		fmt.Fprintf(sum, "%s %d\n", name, len(raw))
		sum.Write(raw)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("read the kernel's source: %w", err)
	}
	folder := filepath.Join(dir, "kernel-"+hex.EncodeToString(sum.Sum(nil))[:12])
	if _, err := os.Stat(folder); err == nil {
		return folder, nil
	}
	staging, err := os.MkdirTemp(dir, ".kernel-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(staging)
	if err := errors.Join(os.Chmod(staging, 0o755), os.CopyFS(staging, source)); err != nil {
		return "", fmt.Errorf("unpack the kernel's source: %w", err)
	}
	// Another process may have made the folder meanwhile: it has the same content.
	if err := os.Rename(staging, folder); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	return folder, nil
}
