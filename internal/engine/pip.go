package engine

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/ergane-dev/ergane/internal/durable"
)

// pipProgress begins a line of pip's raw progress: Progress <bytes> of <bytes>.
const pipProgress = "Progress "

// lockFile is a requirements file with hashes.
type lockFile struct {
	name   string
	text   []byte
	digest string
	// download is what it fetches on this machine, in bytes; 0 is unknown.
	download int64
}

func (in *installation) lockFile(name string) (lockFile, error) {
	text, err := fs.ReadFile(in.Spec.locks, name)
	if err != nil {
		return lockFile{}, fmt.Errorf("read lock file: %w", err)
	}
	l := lockFile{name: name, text: text, digest: keyOf(string(text))}
	machine := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
	for line := range strings.Lines(string(text)) {
		if size, ok := strings.CutPrefix(strings.TrimSpace(line), "# download "+machine+" "); ok {
			l.download, _ = strconv.ParseInt(size, 10, 64)
		}
	}
	return l, nil
}

// pip runs the environment's pip over a lock file. Every file must have one of
// the lock's hashes; the index is the one that the user's pip is configured for.
func (in *installation) pip(ctx context.Context, step string, lock lockFile, verb string, options ...string) error {
	file := in.path("tmp", lock.name)
	if err := writeFile(file, lock.text); err != nil {
		return explain(step, "", err)
	}
	argv := []string{in.venvPython(), "-I", "-m", "pip", "--no-input", "--disable-pip-version-check", verb}
	argv = append(argv, options...)
	argv = append(argv, "--require-hashes", "--requirement", file)
	p := pipProgressOf{report: in.report, step: step, download: lock.name}
	out, err := in.command(ctx, argv, in.environ(), p.line)
	if err != nil {
		return explain(step, out, err)
	}
	in.report.bytes(lock.name, p.before+p.of)
	return nil
}

// pipProgressOf adds up the downloads of one pip.
type pipProgressOf struct {
	report         *reporter
	step, download string
	before, of     int64 // bytes of the files before, and of the present one
}

func (p *pipProgressOf) line(text string) {
	text = strings.TrimSpace(text)
	if rest, ok := strings.CutPrefix(text, pipProgress); ok {
		n, total, _ := strings.Cut(rest, " of ")
		done, err := strconv.ParseInt(n, 10, 64)
		if err != nil {
			return
		}
		p.of, _ = strconv.ParseInt(total, 10, 64)
		p.report.bytes(p.download, p.before+done)
		return
	}
	if file, ok := strings.CutPrefix(text, "Downloading "); ok {
		p.before, p.of = p.before+p.of, 0
		p.report.say(p.step, "downloading "+file)
	}
	if strings.HasPrefix(text, "Installing collected packages") {
		p.report.say(p.step, "installing the Python packages")
	}
}

// environ is this process's environment for the programs of the setup: the
// user's configuration of pip, proxies and certificates is kept, except for what
// would make pip install elsewhere. Temporary files go to the engine's folder,
// whose free space was checked.
func (in *installation) environ() []string {
	dropped := []string{"PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER", "PIP_REQUIRE_HASHES", "PIP_NO_BINARY",
		"PIP_ONLY_BINARY", "PIP_LOG", "PIP_QUIET", "PIP_VERBOSE", "PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV", "TMPDIR"}
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return slices.Contains(dropped, name)
	})
	return append(env, "TMPDIR="+in.path("tmp"), "LC_ALL=C.UTF-8")
}

// expectDownloads announces the bytes of the steps that are not done yet.
func (in *installation) expectDownloads() error {
	names := map[string]string{"packages": in.packagesLock(), "pyspark": "sdist.txt"}
	if in.made.Java.Wheel {
		names["java"] = "java.txt"
	}
	for step, name := range names {
		lock, err := in.lockFile(name)
		if err != nil {
			return err
		}
		if _, err := os.Stat(in.path("steps", step+".json")); err != nil {
			in.report.expect(lock.download)
		}
	}
	return nil
}

func (in *installation) packagesLock() string { return "packages-" + in.made.Python.Minor + ".txt" }

// installPackages installs what user code may import beside PySpark.
func (in *installation) installPackages(ctx context.Context) error {
	lock, err := in.lockFile(in.packagesLock())
	if err != nil {
		return err
	}
	return in.step(ctx, "packages", lock.digest, func(ctx context.Context) error {
		in.report.say("packages", "downloading the Python packages")
		return in.pip(ctx, "packages", lock, "install", "--no-deps", "--only-binary", ":all:", "--no-compile", "--progress-bar", "raw")
	})
}

// enoughDisk refuses an installation that would fill the disk, before it downloads anything.
func (in *installation) enoughDisk() error {
	free, err := durable.Free(in.dir)
	if err != nil {
		return explain("folder", "", err)
	}
	if _, err := os.Stat(in.path("steps", "pyspark.json")); err == nil || free >= in.Spec.DiskBytes {
		return nil
	}
	return &Problem{Step: "folder", What: fmt.Sprintf("The engine needs %.1f GB and %s has %.1f GB free", gb(in.Spec.DiskBytes), in.Dir, gb(free)),
		Advice: "Free some space or choose another folder with --engine-dir"}
}

func gb(bytes int64) float64 { return float64(bytes) / 1e9 }
