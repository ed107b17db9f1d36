# The two macros a scripted extension uses, with the signatures of Slicer's own.

include(CMakeParseArguments)
include(CTest)

# slicerMacroBuildScriptedModule(NAME <name> SCRIPTS <file>... [RESOURCES <file>...] [WITH_GENERIC_TESTS] [WITH_SUBDIR] [VERBOSE])
#
# Copies scripts and resources, their folders kept, into one folder that all modules share, in the build tree and on install.
macro(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(MY_SLICER "WITH_GENERIC_TESTS;WITH_SUBDIR;VERBOSE" "NAME" "SCRIPTS;RESOURCES" ${ARGN})
  if(MY_SLICER_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "Unknown keywords given to slicerMacroBuildScriptedModule(): \"${MY_SLICER_UNPARSED_ARGUMENTS}\"")
  endif()
  foreach(var NAME SCRIPTS)
    if("${MY_SLICER_${var}}" STREQUAL "")
      message(FATAL_ERROR "error: ${var} CMake variable is empty !")
    endif()
  endforeach()

  set(_installed)
  foreach(_file IN LISTS MY_SLICER_SCRIPTS)
    # As Slicer does: a script may be named without its ending.
    if(NOT _file MATCHES "\\.py$")
      set(_file "${_file}.py")
    endif()
    list(APPEND _installed "${_file}")
  endforeach()
  list(APPEND _installed ${MY_SLICER_RESOURCES})

  set(_copies)
  foreach(_file IN LISTS _installed)
    standin_claim("${_file}")
    set(_copy "${CMAKE_BINARY_DIR}/${Slicer_QTSCRIPTEDMODULES_LIB_DIR}/${_file}")
    add_custom_command(
      OUTPUT "${_copy}"
      DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/${_file}"
      COMMAND ${CMAKE_COMMAND} -E copy "${CMAKE_CURRENT_SOURCE_DIR}/${_file}" "${_copy}"
      COMMENT "Copying ${_file}"
      )
    list(APPEND _copies "${_copy}")
    get_filename_component(_folder "${_file}" DIRECTORY)
    install(
      FILES "${_copy}"
      DESTINATION "${Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR}/${_folder}"
      COMPONENT RuntimeLibraries
      )
  endforeach()
  add_custom_target(Copy${MY_SLICER_NAME}PythonFiles ALL DEPENDS ${_copies})
endmacro()

# slicer_add_python_unittest(SCRIPT <file> [TESTNAME_PREFIX <text>] [SLICER_ARGS <arg>...])
#
# Slicer runs the script's test classes; here only the call is checked, pytest runs them on Testing/SlicerHost.
function(slicer_add_python_unittest)
  cmake_parse_arguments(MY "" "TESTNAME_PREFIX;SCRIPT" "SLICER_ARGS" ${ARGN})
  if(MY_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "Unknown keywords given to slicer_add_python_unittest(): \"${MY_UNPARSED_ARGUMENTS}\"")
  endif()
  if(NOT EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/${MY_SCRIPT}")
    message(FATAL_ERROR "slicer_add_python_unittest: no such script: ${CMAKE_CURRENT_SOURCE_DIR}/${MY_SCRIPT}")
  endif()
endfunction()

# The file exists, and no other module installs one of the same name: all modules share one folder.
function(standin_claim file)
  if(NOT EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/${file}")
    message(FATAL_ERROR "${CMAKE_CURRENT_SOURCE_DIR}/CMakeLists.txt lists a file that does not exist: ${file}")
  endif()
  get_property(_claimed GLOBAL PROPERTY STANDIN_CLAIMED)
  if(file IN_LIST _claimed)
    message(FATAL_ERROR "Two modules install ${file}; all modules share one folder, give it a name of its own")
  endif()
  set_property(GLOBAL APPEND PROPERTY STANDIN_CLAIMED "${file}")
endfunction()
