"""The heap of the driver's JVM, which by default keeps most of the memory that it has used once."""

from __future__ import annotations

from typing import Any

# While the heap is in use, 40 to 70 percent of it should be free, which is the JVM's default.
LEAST, MOST = ("MinHeapFreeRatio", "5"), ("MaxHeapFreeRatio", "10")


def give_back(gateway: Any) -> None:
    """Collects garbage, and returns the free memory except a tenth to the system. Raises the errors of py4j."""
    flags = _Flags(gateway)
    least, most = flags.get(LEAST[0]), flags.get(MOST[0])
    try:
        flags.set(*LEAST)
        flags.set(*MOST)
        gateway.jvm.System.gc()
    finally:
        flags.set(MOST[0], most)
        flags.set(LEAST[0], least)


class _Flags:
    """Options of a JVM that can be changed while it runs."""

    def __init__(self, gateway: Any) -> None:
        self._gateway, java = gateway, gateway.jvm.java.lang
        text = java.Class.forName("java.lang.String")
        # By the interface and its methods: py4j has no access to the module of the class behind it.
        interface = java.Class.forName("com.sun.management.HotSpotDiagnosticMXBean")
        self._bean = java.management.ManagementFactory.getPlatformMXBean(interface)
        self._get = interface.getMethod("getVMOption", self._array(java.Class, text))
        self._set = interface.getMethod("setVMOption", self._array(java.Class, text, text))

    def get(self, name: str) -> str:
        value: str = self._get.invoke(self._bean, self._array(self._gateway.jvm.Object, name)).getValue()
        return value

    def set(self, name: str, value: str) -> None:
        self._set.invoke(self._bean, self._array(self._gateway.jvm.Object, name, value))

    def _array(self, kind: Any, *values: Any) -> Any:
        array = self._gateway.new_array(kind, len(values))
        for i, value in enumerate(values):
            array[i] = value
        return array
