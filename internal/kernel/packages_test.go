package kernel_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/kernel"
)

// installs makes a wheel, installs it with the real pip and imports it here and in a child.
const installs = `import subprocess, sys, zipfile
info = "inside_wheel-1.0.dist-info"
files = {"inside_wheel.py": "WHERE = __file__\n", f"{info}/METADATA": "Metadata-Version: 2.1\nName: inside-wheel\nVersion: 1.0\n",
    f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
with zipfile.ZipFile("inside_wheel-1.0-py3-none-any.whl", "w") as wheel:
    for name, text in files.items():
        wheel.writestr(name, text)
%pip install --no-index ./inside_wheel-1.0-py3-none-any.whl
import inside_wheel
subprocess.run([sys.executable, "-c", "import inside_wheel; print(inside_wheel.WHERE)"], check=True)
`

func TestPackagesAreInstalledInASandbox(t *testing.T) {
	t.Parallel()
	s := pythonSpec(t, newSpec(t))
	inNamespace(t, &s)
	python, src := s.Argv[0], s.Argv[len(s.Argv)-1]
	real, err := filepath.EvalSymlinks(python)
	must(t, err)
	s.Sandbox.View = s.Sandbox.View.AndRead(filepath.Dir(filepath.Dir(python)), filepath.Dir(filepath.Dir(real)), src)
	s.Sandbox.Landlock = true
	if os.Geteuid() == 0 {
		s.Sandbox.User = testUser - 1
		must(t, os.Lchown(filepath.Join(s.Dir, "work"), s.Sandbox.User, s.Sandbox.User))
		must(t, os.Lchown(filepath.Join(s.Dir, "work", "tmp"), s.Sandbox.User, s.Sandbox.User))
	}
	s.Boot.Facts = kernel.Facts{Pip: &kernel.Pip{}}
	k := startSpec(t, s)
	must(t, k.Ready(patience(t)))
	o := run(t, k, "one", installs)
	section, err := k.Spool().Section(ergane.Stderr, o.Stderr)
	if o.State != ergane.CalculationCompleted {
		t.Fatalf("%+v: %s", o, text(t, section, err))
	}
	section, err = k.Spool().Section(ergane.Stdout, o.Stdout)
	got := text(t, section, err)
	if want := filepath.Join(s.Dir, "work", "python", "lib"); !strings.Contains(got, "Successfully installed inside-wheel-1.0\n"+want) {
		t.Errorf("%q, want a package in %s", got, want)
	}
}
