<#
.SYNOPSIS
Does on Windows what make does elsewhere. In PowerShell, in the clone:

    powershell -ExecutionPolicy Bypass -File tools\windows.ps1 run

.PARAMETER Command
setup, run, test, check, lab, book or workshop: as listed by `make` and in docs/learn/install.md.

.PARAMETER Python
The Python to make .venv with: py, the newest one that is installed, or a path to python.exe.
#>
param(
    [Parameter(Mandatory = $true)]
    [ValidateSet("setup", "run", "test", "check", "lab", "book", "workshop")]
    [string]$Command,
    [string]$Python = "py"
)
$ErrorActionPreference = "Stop"
$PSNativeCommandUseErrorActionPreference = $false  # exit statuses are looked at below
Set-Location (Split-Path $PSScriptRoot)
$Venv = ".venv\Scripts\python.exe"
$Stamp = ".venv\.installed"

function Invoke-Step {
    # Run a program; where it fails, stop with its exit status.
    param([string]$Program, [string[]]$Given)
    & $Program @Given
    if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }
}

function Install-All {
    $wanted = Get-Item "pyproject.toml", "constraints.txt"
    if (Test-Path $Stamp) {
        $installed = (Get-Item $Stamp).LastWriteTime
        if (-not ($wanted | Where-Object { $_.LastWriteTime -gt $installed })) { return }
    }
    & $Python -c "import sys; sys.exit(sys.version_info < (3, 11))"
    if ($LASTEXITCODE -ne 0) {
        Write-Output "Python 3.11 or newer is needed. Name one, for example: tools\windows.ps1 $Command -Python C:\Python313\python.exe"
        exit 1
    }
    Write-Output "Installing into .venv, 2 GB or more. It takes a minute or many; pip is silent meanwhile ..."
    Invoke-Step $Python @("-m", "venv", ".venv")
    Invoke-Step $Venv @("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-c", "constraints.txt", "-e", ".[test]")
    Set-Content $Stamp ""
}

Install-All
switch ($Command) {
    "run" {
        & $Venv -m tools.notebooks run
        $status = $LASTEXITCODE
        Invoke-Step $Venv @("-m", "tools.book", "build\notebooks")
        Write-Output "To work with the notebooks: tools\windows.ps1 lab"
        exit $status
    }
    "test" { Invoke-Step $Venv @("-m", "pytest", "-n", "2", "--no-loadscope-reorder") }
    "check" {
        Invoke-Step $Venv @("-m", "ruff", "check", ".")
        Invoke-Step $Venv @("-m", "ruff", "format", "--check", ".")
        Invoke-Step ".venv\Scripts\lint-imports.exe" @("--no-cache")
        Invoke-Step ".venv\Scripts\pyrefly.exe" @("check", "--python-interpreter-path", $Venv)
        Invoke-Step $Venv @("-m", "pytest", "-n", "2", "--no-loadscope-reorder", "-m", "not slow", "tests")
    }
    "lab" { Invoke-Step $Venv @("-m", "tools.lab") }
    "book" { Invoke-Step $Venv @("-m", "tools.book") }
    "workshop" { Invoke-Step $Venv @("-m", "tools.workshop") }
}
