# Slicer writes the extension's description file here; what it needs for that must be set.

foreach(_name HOMEPAGE CONTRIBUTORS DESCRIPTION ICONURL SCREENSHOTURLS DEPENDS)
  if("${EXTENSION_${_name}}" STREQUAL "")
    message(FATAL_ERROR "EXTENSION_${_name} is not set in the extension's CMakeLists.txt")
  endif()
  if(_name MATCHES "URL$|URLS$|HOMEPAGE" AND NOT "${EXTENSION_${_name}}" MATCHES "^https://")
    message(FATAL_ERROR "EXTENSION_${_name} is not a https address: ${EXTENSION_${_name}}")
  endif()
endforeach()
