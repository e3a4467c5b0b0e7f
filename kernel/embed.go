// Package kernelsrc carries the Python source of a kernel, so that the one
// binary brings everything that it starts.
package kernelsrc

import "embed"

// FS holds src/__main__.py and src/ergane_kernel. Written to a folder, the
// content of src is started by `python -s -X utf8 <folder>`.
//
//go:embed src/__main__.py src/ergane_kernel/*.py src/ergane_kernel/magics/*.py
var FS embed.FS
